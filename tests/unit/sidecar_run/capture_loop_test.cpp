// The capture of one interface that goes away and comes back.
#include "sidecar/capture_loop.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

/// An interface that is there or not.
struct Device {
  net::UniqueFd ready{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // always readable
  std::atomic<bool> there{true};
};

class FakeSource final : public capture::PacketSource {
 public:
  explicit FakeSource(Device& device) : device_(device) {}
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return device_.ready.get(); }
  Result<std::size_t> read(capture::PacketHandler&, std::size_t) override {
    if (!device_.there) return Error{"the interface went down"};
    return std::size_t{0};
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction>) override { return {}; }
  capture::SourceCounts counts() override { return {}; }

 private:
  Device& device_;
};

class CaptureLoopTest : public testing::Test {
 protected:
  CaptureLoopTest() {
    CaptureLoopConfig config;
    config.interface = "eth0";
    config.on_open = [this] { note("open"); };
    config.on_close = [this] { note("closed"); };
    loop_ = std::make_unique<CaptureLoop>(
        std::move(config),
        [this](const capture::DeviceConfig&) -> Result<std::unique_ptr<capture::PacketSource>> {
          if (!device_.there) return Error{"there is no such interface"};
          return std::unique_ptr<capture::PacketSource>(std::make_unique<FakeSource>(device_));
        },
        std::make_unique<ownership::NoListeningSockets>());
  }
  ~CaptureLoopTest() override { loop_->finish(); }

  void note(std::string what) {
    const std::lock_guard lock(mutex_);
    noted_.push_back(std::move(what));
    changed_.notify_all();
  }
  bool wait_for(const std::vector<std::string>& noted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return noted_ == noted; });
  }
  static session::CaptureOrder order() {
    session::CaptureOrder order;
    order.socket = net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return order;
  }

  Device device_;
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

}  // namespace
}  // namespace sidetap
