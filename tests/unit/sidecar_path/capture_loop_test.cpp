// The capture of one interface that goes away and comes back, and of sensors that come and go.
#include "sidecar/path/capture_loop.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

/// An interface that is there or not, and what it has for the reader.
struct Link {
  net::UniqueFd ready{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // always readable
  std::atomic<bool> there{true};
  std::atomic<bool> up{true};
  std::atomic<bool> carrier{true};
  std::atomic<bool> silent{false};    // the source does not tell that it has gone
  std::atomic<unsigned> accepted{0};  // by the kernel's filter
  std::atomic<unsigned> waiting{0};   // of those, what can still be read
  std::function<void()> at_each_read = [] {};
};

class FakeSource final : public capture::PacketSource {
 public:
  explicit FakeSource(Link& device) : device_(device) {}
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
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
  Result<void> set_filter(std::span<const capture::BpfInstruction>) override { return {}; }
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
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    if (!link_.there) return Error{"there is no such interface"};
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
  CaptureLoopTest() {
    CaptureLoopConfig config;
    config.interface = "eth0";
    config.engine.self.addresses = {test::ip("10.0.0.1")};
    config.on_change = [this] {
      note(!loop_->is_open() ? "closed" : loop_->is_working() ? "open" : "idle");
    };
    loop_ = std::make_unique<CaptureLoop>(std::move(config), std::make_unique<FakeDevice>(device_),
                                          std::make_unique<ownership::NoListeningSockets>());
  }
  ~CaptureLoopTest() override { loop_->finish(); }

  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    if (noted_.empty() || noted_.back() != what) noted_.push_back(std::move(what));
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(const std::vector<std::string>& noted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return noted_ == noted; });
  }
  static session::CaptureOrder order() {
    session::CaptureOrder order;
    order.socket = net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return order;
  }

  Link device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> noted_;
  std::unique_ptr<CaptureLoop> loop_;
};

TEST_F(CaptureLoopTest, TellsWhenTheInterfaceHasGoneAndWhenItIsBack) {
  loop_->run();
  EXPECT_TRUE(loop_->is_open());
  device_.there = false;
  EXPECT_TRUE(wait_for({"closed"}));
  EXPECT_FALSE(loop_->is_open());
  device_.there = true;
  EXPECT_TRUE(wait_for({"closed", "open"}));
  EXPECT_TRUE(loop_->is_open());
}

TEST_F(CaptureLoopTest, FindsOutThatTheInterfaceHasGoneThoughTheSourceDoesNotTell) {
  device_.silent = true;
  loop_->run();
  device_.there = false;
  loop_->look_again();
  EXPECT_TRUE(wait_for({"closed"}));
  device_.there = true;
  // Nobody says so: it looks by itself.
  EXPECT_TRUE(wait_for({"closed", "open"}));
}

TEST_F(CaptureLoopTest, DoesNotWorkWhileTheInterfaceIsDownOrHasNoCarrier) {
  loop_->run();
  EXPECT_TRUE(loop_->is_working());
  for (std::atomic<bool>* cause : {&device_.up, &device_.carrier}) {
    *cause = false;
    EXPECT_TRUE(wait_for({"idle"}));
    EXPECT_TRUE(loop_->is_open());
    EXPECT_FALSE(loop_->is_working());
    *cause = true;
    EXPECT_TRUE(wait_for({"idle", "open"}));
    EXPECT_TRUE(loop_->is_working());
    const std::lock_guard lock(mutex_);
    noted_.clear();
  }
  EXPECT_EQ(loop_->counts().reopened, 0U) << "the kernel resumes by itself";
}

TEST_F(CaptureLoopTest, StartsNoCaptureWhileTheInterfaceIsNotOpen) {
  loop_->run();
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  const auto refused = loop_->start(order());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("eth0 is not open"));
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  const auto started = loop_->start(order());
  ASSERT_TRUE(started);
  loop_->stop(*started);
}

TEST_F(CaptureLoopTest, CountsWhatTheInterfaceTookWithIt) {
  loop_->run();
  device_.accepted = 5;
  device_.waiting = 2;
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  const LoopCounts counts = loop_->counts();
  EXPECT_EQ(counts.source.accepted, 5U);
  EXPECT_EQ(loop_->ledger().read.value(), 2U);
  EXPECT_EQ(counts.source.dropped, 3U);
}

TEST_F(CaptureLoopTest, GoesOnReadingWhileAStalledSensorsCaptureEnds) {
  constexpr unsigned kPackets = 500;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const net::UniqueFd sensor(ends[1]);
  session::CaptureOrder order;
  order.kind = session::DataKind::kTcp;
  order.socket = net::UniqueFd(ends[0]);
  // The sensor stalls until its capture ends, and then takes a little whenever the tap reads.
  std::atomic<bool> ending{false};
  device_.at_each_read = [&, bytes = std::vector<char>(100'000)]() mutable {
    if (ending) (void)recv(sensor.get(), bytes.data(), bytes.size(), 0);
  };
  loop_->run();
  const auto capture = loop_->start(std::move(order));
  ASSERT_TRUE(capture);
  device_.accepted = device_.waiting = kPackets;
  while (device_.waiting != 0) loop_->settle();
  loop_->settle();
  EXPECT_LT(loop_->counts().forwarded, kPackets);
  ending = true;
  loop_->stop(*capture);
  EXPECT_EQ(loop_->counts().forwarded, kPackets);
  loop_->finish();  // what it reads for the sensor ends here
}

}  // namespace
}  // namespace sidetap
