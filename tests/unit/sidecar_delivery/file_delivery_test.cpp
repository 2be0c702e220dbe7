// The files of a tap and of a collector, from the packets' source to the disk.
#include "sidecar/delivery/file_delivery.h"

#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_forwarding/pcapng_blocks.h"

namespace sidetap {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

/// One packet of each of two taps, once.
class TwoTapsSource final : public capture::PacketSource {
 public:
  explicit TwoTapsSource(std::promise<void>& read_out) : read_out_(read_out) {}
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return ready_.get(); }
  Result<std::size_t> read(capture::PacketHandler& handler, std::size_t) override {
    if (std::exchange(done_, true)) return std::size_t{0};
    capture::CapturedPacket packet;
    packet.bytes = bytes_;
    packet.length = static_cast<std::uint32_t>(bytes_.size());
    packet.offload.known = true;
    for (packet.origin = 1; packet.origin <= 2; ++packet.origin) handler.on_packet(packet);
    read_out_.set_value();
    return std::size_t{2};
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction>) override { return {}; }
  capture::SourceCounts counts() override { return {.accepted = 2}; }
  int bound_index() const override { return 2; }

 private:
  std::promise<void>& read_out_;
  const net::UniqueFd ready_{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // always readable
  const std::vector<std::byte> bytes_ = std::vector<std::byte>(64);
  bool done_ = false;
};

class TwoTapsDevice final : public capture::Device {
 public:
  explicit TwoTapsDevice(std::promise<void>& read_out) : read_out_(read_out) {}
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    return std::unique_ptr<capture::PacketSource>(std::make_unique<TwoTapsSource>(read_out_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 2, .up = true, .carrier = true};
  }

 private:
  std::promise<void>& read_out_;
};

class FileDeliveryTest : public testing::Test {
 protected:
  FileDeliveryTest() {
    folder_ = fs::temp_directory_path() / ("sidetap-delivery-" + std::to_string(getpid()));
    fs::create_directory(folder_);
  }
  ~FileDeliveryTest() override { fs::remove_all(folder_); }

  /// Writes the two packets, and returns the blocks of their file in words.
  std::vector<std::string> write(FileLabels labels) {
    boost::asio::io_context context{1};
    std::promise<void> read_out;
    CaptureLoopConfig config;
    config.interface = "eth0";
    config.pipeline.collected = true;
    config.reply = [&context](CommandQueue::Task task) {
      boost::asio::post(context, std::move(task));
    };
    CaptureLoop loop(std::move(config), std::make_unique<TwoTapsDevice>(read_out),
                     std::make_unique<ownership::NoListeningSockets>());
    labels.prefix = "p";
    FileDelivery delivery(
        context.get_executor(),
        {.folder = folder_, .format = forwarding::CaptureFormat::kPcapng, .file_age_ms = 3'600'000},
        std::move(labels), loop, 0);
    EXPECT_TRUE(delivery.start());
    loop.run();
    read_out.get_future().wait();
    auto guard = boost::asio::make_work_guard(context);
    boost::asio::co_spawn(context, delivery.stop(), [&guard](const std::exception_ptr& thrown) {
      EXPECT_TRUE(thrown == nullptr);
      guard.reset();
    });
    context.run();
    loop.finish();
    std::ifstream file(folder_ / "p-0.pcapng", std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    return forwarding::told_by(std::as_bytes(std::span(bytes)));
  }

  fs::path folder_;
};

TEST_F(FileDeliveryTest, OfATapTellOfItsOwnPod) {
  const std::vector<forwarding::NamedAddress> names{{ip("10.0.0.1"), "web-1.shop"}};
  EXPECT_THAT(write({.label = forwarding::label_of({"web-1", "shop", ""}, "eth0"), .names = names}),
              ElementsAre("section", "interface shop/web-1 eth0", "names 1", "packet of 0",
                          "packet of 0", "0 has 2, dropped 0"));
}

TEST_F(FileDeliveryTest, OfACollectorTellWhichPodEachPacketComesFrom) {
  const auto identities = std::make_shared<forwarding::TapIdentities>();
  identities->add(2, {.from = ip("10.0.0.2"),
                      .description = "shop/web-2",
                      .interface = "eth0",
                      .addresses = {ip("10.0.0.2")}});
  EXPECT_THAT(
      write({.identities = identities}),
      ElementsAre("section", "interface tap 1", "interface shop/web-2 eth0", "names 1",
                  "packet of 0", "packet of 1", "0 has 1, dropped 0", "1 has 1, dropped 0"));
}

}  // namespace
}  // namespace sidetap
