// Deliveries of two stages that run side by side.
#include "sidecar/delivery/rpcap_delivery.h"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "shared/telemetry/metrics.h"
#include "tests/unit/sidecar_session/fake_control.h"
#include "tests/unit/sidecar_session/fake_sensor.h"

namespace sidetap {
namespace {

using rpcap::MessageType;
using session::LocalSocket;
using session::Wire;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RpcapDeliveryTest : public testing::Test {
 protected:
  RpcapDeliveryTest() {
    std::signal(SIGPIPE, SIG_IGN);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~RpcapDeliveryTest() override {
    for (const auto& each : deliveries_) stop(*each);
    guard_.reset();
    context_.stop();
    thread_.join();
  }

  RpcapDelivery& start(std::uint64_t stage, std::uint16_t port) {
    session::SessionsConfig config;
    config.sensors.push_back({.address = {"127.0.0.1", port}});
    config.backoff = {std::chrono::milliseconds(20), std::chrono::milliseconds(100)};
    deliveries_.push_back(std::make_unique<RpcapDelivery>(
        context_.get_executor(), std::move(config), control_, owner_prefix("eth0", stage), stage,
        [this](const std::string& owner, const std::vector<capture::OwnEndpoint>& endpoints) {
          return control_.exclude_own_traffic(owner, endpoints);
        },
        &metrics_));
    RpcapDelivery& delivery = *deliveries_.back();
    EXPECT_TRUE(on_control_thread<bool>([&] { return static_cast<bool>(delivery.start()); }));
    return delivery;
  }
  void stop(RpcapDelivery& delivery) {
    boost::asio::co_spawn(context_, delivery.stop(), boost::asio::use_future).get();
  }
  template <typename T>
  T on_control_thread(const std::function<T()>& ask) {
    std::promise<T> told;
    boost::asio::post(context_, [&] { told.set_value(ask()); });
    return told.get_future().get();
  }
  std::vector<registry::SensorReport> sensors(const RpcapDelivery& delivery) {
    return on_control_thread<std::vector<registry::SensorReport>>(
        [&] { return delivery.sensors(); });
  }
  /// The sensor takes the next session that is dialled, and starts a capture.
  std::unique_ptr<Wire> capture_over(const LocalSocket& sensor) {
    auto wire = std::make_unique<Wire>(sensor.accept());
    session::open_interface(*wire);
    session::expect_type(wire->ask(session::start_request(rpcap::kStartDatagram, udp_.port())),
                         MessageType::kStartCaptureReply);
    return wire;
  }
  static bool comes_true(const std::function<bool()>& what) {
    for (int i = 0; i < 500; ++i) {
      if (what()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool shows_capturing(unsigned sessions) {
    return metrics_.text().find("sidetap_sessions{state=\"capturing\"} " +
                                std::to_string(sessions)) != std::string::npos;
  }
  std::vector<std::string> owners() {
    std::vector<std::string> names;
    for (const auto& [owner, endpoints] : control_.excluded()) {
      if (!endpoints.empty()) names.push_back(owner);
    }
    return names;
  }

  session::FakeControl control_;
  telemetry::MetricsRegistry metrics_;
  const LocalSocket udp_{SOCK_DGRAM};
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_ =
      boost::asio::make_work_guard(context_);
  std::vector<std::unique_ptr<RpcapDelivery>> deliveries_;
  std::thread thread_;
};

TEST_F(RpcapDeliveryTest, OneSensorMayServeTwoStagesAtATime) {
  const LocalSocket sensor(SOCK_STREAM);
  RpcapDelivery& old = start(0, sensor.port());
  const auto first = capture_over(sensor);
  control_.newest([](const session::CaptureOrder& order) { EXPECT_EQ(order.stage, 0U); });
  start(1, sensor.port());
  const auto second = capture_over(sensor);
  ASSERT_TRUE(control_.wait_for_captures(2));
  control_.newest([](const session::CaptureOrder& order) { EXPECT_EQ(order.stage, 1U); });
  EXPECT_THAT(owners(), ElementsAre("eth0 1 session 0", "eth0 session 0"));
  EXPECT_TRUE(comes_true([&] { return shows_capturing(2); }));

  std::thread hanging_up([&] {
    session::expect_type(first->receive(), MessageType::kClose);
    first->close();
  });
  stop(old);
  hanging_up.join();
  EXPECT_THAT(owners(), ElementsAre("eth0 1 session 0", "eth0 session 0"))
      << "its last segments may be in flight";
  on_control_thread<bool>([&] { return old.forget_connections(), true; });
  EXPECT_THAT(owners(), ElementsAre("eth0 1 session 0"));
  EXPECT_EQ(control_.captures(), 1U);
  EXPECT_TRUE(shows_capturing(1));
}

TEST_F(RpcapDeliveryTest, TellsWhatItsSensorDoes) {
  const LocalSocket sensor(SOCK_STREAM);
  RpcapDelivery& delivery = start(0, sensor.port());
  const auto wire = capture_over(sensor);
  ASSERT_TRUE(control_.wait_for_captures(1));
  const std::string name = "127.0.0.1:" + std::to_string(sensor.port());
  EXPECT_TRUE(comes_true([&] { return sensors(delivery)[0].state == "capturing"; }));
  const auto now = sensors(delivery);
  ASSERT_EQ(now.size(), 1U);
  EXPECT_EQ(now[0].sensor, name);
  EXPECT_EQ(now[0].state, "capturing");
  EXPECT_THAT(now[0].reason, IsEmpty());
}

TEST_F(RpcapDeliveryTest, TellsWhyThereIsNoSession) {
  std::uint16_t port = 0;
  {
    const LocalSocket away(SOCK_STREAM);
    port = away.port();
  }
  RpcapDelivery& delivery = start(0, port);
  EXPECT_TRUE(comes_true([&] { return !sensors(delivery)[0].reason.empty(); }));
  const auto now = sensors(delivery);
  EXPECT_THAT(now[0].state, testing::AnyOf("waiting", "dialling"));
  EXPECT_THAT(now[0].reason, HasSubstr("refused"));
}

}  // namespace
}  // namespace sidetap
