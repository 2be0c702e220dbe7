// A loop that reads an interface which goes and comes, and holds what the test says.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {

/// An interface that is there or not, and what it has for the reader.
struct Link {
  net::UniqueFd ready{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // always readable
  std::atomic<bool> there{true};
  std::atomic<bool> up{true};
  std::atomic<bool> carrier{true};
  std::atomic<capture::LinkType> link{capture::LinkType::kEthernet};
  std::atomic<bool> silent{false};    // the source does not tell that it has gone
  std::atomic<unsigned> accepted{0};  // by the kernel's filter
  std::atomic<unsigned> waiting{0};   // of those, what can still be read
  std::function<void()> at_each_read = [] {};
  std::vector<capture::BpfInstruction> filter{};  // the one in force
};

class FakeSource final : public capture::PacketSource {
 public:
  explicit FakeSource(Link& device) : device_(device) {}
  capture::LinkType link_type() const override { return device_.link; }
  int descriptor() const override { return device_.ready.get(); }
  /// As the kernel does it tells once that the interface has gone; what it has can be read still.
  Result<std::size_t> read(capture::PacketHandler& handler, std::size_t most) override {
    device_.at_each_read();
    if (!device_.there && !device_.silent && !std::exchange(told_, true))
      return Error{"the interface went down"};
    std::size_t done = 0;
    for (; done < most && device_.waiting != 0; ++done, --device_.waiting)
      handler.on_packet(from_pod_);
    return done;
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction> program) override {
    device_.filter.assign(program.begin(), program.end());
    return {};
  }
  capture::SourceCounts counts() override { return {.accepted = device_.accepted}; }
  int bound_index() const override { return device_.there ? 2 : -1; }

 private:
  Link& device_;
  bool told_ = false;
  const test::Bytes bytes_ =
      test::packet().from("10.0.0.1").to("8.8.8.8").udp(40000, 53).data(1000).ethernet();
  capture::CapturedPacket from_pod_ = [this] {
    capture::CapturedPacket packet;
    packet.bytes = bytes_;
    packet.length = static_cast<std::uint32_t>(bytes_.size());
    return packet;
  }();
};

class FakeDevice final : public capture::Device {
 public:
  explicit FakeDevice(Link& link) : link_(link) {}
  Result<std::unique_ptr<capture::PacketSource>> open(
      const capture::DeviceConfig& config) override {
    if (!link_.there) return Error{"there is no such interface"};
    link_.filter.assign(config.filter.begin(), config.filter.end());
    return std::unique_ptr<capture::PacketSource>(std::make_unique<FakeSource>(link_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    if (!link_.there) return {};
    return {.index = 2, .up = link_.up, .carrier = link_.carrier};
  }

 private:
  Link& link_;
};

class CaptureLoopTest : public testing::Test {
 protected:
  CaptureLoopTest() { make_loop(0); }
  ~CaptureLoopTest() override { loop_->finish(); }

  void make_loop(std::size_t backlog, std::chrono::milliseconds hand_over = std::chrono::seconds(2),
                 bool dialled = true) {
    CaptureLoopConfig config;
    config.pipeline.backlog = backlog;
    config.pipeline.dialled = dialled;
    config.hand_over = hand_over;
    config.interface = "eth0";
    config.engine.self.addresses = {ip("10.0.0.1")};
    // The capture thread answers by itself: the test waits for each answer.
    config.reply = [](const CommandQueue::Task& task) { task(); };
    config.on_change = [this] {
      note(!loop_->is_open() ? "closed" : loop_->is_working() ? "open" : "idle");
    };
    loop_ = std::make_unique<CaptureLoop>(std::move(config), std::make_unique<FakeDevice>(device_),
                                          std::make_unique<ownership::NoListeningSockets>());
  }

  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    if (noted_.empty() || noted_.back() != what) noted_.push_back(std::move(what));
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(const std::vector<std::string>& noted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return noted_ == noted; });
  }
  /// Hands `ask` a callback, and returns when it has been called.
  template <typename Ask>
  void wait_for_answer(Ask ask) {
    const auto answered = std::make_shared<std::promise<void>>();
    ask([answered] { answered->set_value(); });
    answered->get_future().wait();
  }
  void settle() {
    wait_for_answer([&](auto done) { loop_->settle(done); });
  }
  void stop(std::uint64_t capture) {
    wait_for_answer([&](auto done) { loop_->stop(capture, done); });
  }
  LoopCounts counts() {
    LoopCounts told;
    wait_for_answer([&](auto done) {
      loop_->counts([&told, done](LoopCounts counts) {
        told = std::move(counts);
        done();
      });
    });
    return told;
  }
  void wait_until_read() {
    while (device_.waiting != 0) settle();
    settle();
  }
  static session::CaptureOrder order() {
    session::CaptureOrder order;
    order.socket = net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return order;
  }
  /// With a socket that is connected to `sensor`.
  static session::CaptureOrder order_of(const net::UniqueFd& sensor) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const there = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(sensor.get(), there, size), 0);
    EXPECT_EQ(getsockname(sensor.get(), there, &size), 0);
    session::CaptureOrder wanted = order();
    EXPECT_EQ(connect(wanted.socket.get(), there, size), 0);
    return wanted;
  }

  Link device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> noted_;
  std::unique_ptr<CaptureLoop> loop_;
};

}  // namespace sidetap
