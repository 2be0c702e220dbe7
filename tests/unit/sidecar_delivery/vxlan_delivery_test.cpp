// When packets go to a receiver of VXLAN, and what the tap is told of it.
#include "sidecar/delivery/vxlan_delivery.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "tests/unit/sidecar_delivery/idle_loop.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

/// Its receiver is an address of the pod until `is_own_` is false.
class VxlanDeliveryTest : public testing::Test {
 protected:
  ~VxlanDeliveryTest() override {
    context_.restart();
    if (delivery_) async::run_to_end(context_, delivery_->stop());
  }

  void start(LookUpTimes times, const std::string& host = "127.0.0.1") {
    VxlanOptions options;
    options.receivers = {net::HostPort{host, 4789}};
    delivery_ = std::make_unique<VxlanDelivery>(
        context_.get_executor(), std::move(options), PacketNamespaces{},
        [this](const net::IpAddress&) { return is_own_; }, *loop_, 0,
        [](const std::string&, const auto&) { return std::chrono::milliseconds(0); }, nullptr,
        times);
    ASSERT_TRUE(delivery_->start());
  }
  bool comes_true(const std::function<bool()>& what) { return sidetap::comes_true(context_, what); }
  registry::SensorReport receiver() const { return delivery_->sensors().front(); }

  boost::asio::io_context context_{1};
  std::unique_ptr<CaptureLoop> loop_ = make_idle_loop();
  std::unique_ptr<VxlanDelivery> delivery_;
  bool is_own_ = true;
};

constexpr std::chrono::hours kNever{1};

TEST_F(VxlanDeliveryTest, TriesAgainAReceiverThatItCouldNotUse) {
  start({.settled = kNever, .failed = std::chrono::milliseconds(10)});
  ASSERT_TRUE(comes_true([&] { return !receiver().reason.empty(); }));
  EXPECT_THAT(receiver().reason, HasSubstr("is an address of this pod"));
  EXPECT_FALSE(delivery_->forwarding());
  is_own_ = false;
  EXPECT_TRUE(comes_true([&] { return delivery_->forwarding(); }));
  EXPECT_EQ(receiver().state, "capturing");
}

TEST_F(VxlanDeliveryTest, LooksUpAtOnceWhenTheTapIsAboutToEnd) {
  start({.settled = kNever, .failed = kNever, .hurried = kNever}, "localhost");
  ASSERT_TRUE(comes_true([&] { return !receiver().reason.empty(); }));
  is_own_ = false;
  delivery_->dial_soon();
  EXPECT_TRUE(comes_true([&] { return delivery_->forwarding(); }));
}

TEST_F(VxlanDeliveryTest, LooksUpOftenWhileTheTapIsAboutToEnd) {
  start({.settled = kNever, .failed = kNever, .hurried = std::chrono::milliseconds(10)});
  delivery_->dial_soon();
  ASSERT_TRUE(comes_true([&] { return !receiver().reason.empty(); }));
  is_own_ = false;
  EXPECT_TRUE(comes_true([&] { return delivery_->forwarding(); }));
}

}  // namespace
}  // namespace sidetap
