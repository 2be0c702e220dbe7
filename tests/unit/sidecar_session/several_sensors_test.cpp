// Several sensors: each gets its capture, or takes its part, or takes over.
#include <chrono>
#include <cstdint>

#include "tests/unit/sidecar_session/active_fixture.h"

namespace sidetap::session {
namespace {

using rpcap::MessageType;

TEST_F(ActiveMode, ASensorByTwoNamesGetsEveryPacketOnce) {
  auto config = config_for({sensor_.port()});
  config.sensors.push_back({.address = {"localhost", sensor_.port()}});
  config.sensors.push_back({.address = {"::ffff:127.0.0.1", sensor_.port()}});
  ASSERT_TRUE(start(config));
  const auto wire = capture_over_udp();
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"same\"}"));
  EXPECT_TRUE(wait_for_forwarding(true)) << "every sensor that there is gets every packet";
  EXPECT_EQ(control_.captures(), 1U);
  EXPECT_FALSE(sensor_.readable(300)) << "nobody dials again";
}

class SensorsPod : public ActiveMode, public testing::WithParamInterface<SensorMode> {};

TEST_P(SensorsPod, ForwardsToNoOtherSensorEither) {
  auto config = config_for({sensor_.port()});
  config.mode = GetParam();
  config.sensors.push_back({.address = {"127.0.0.3", sensor_.port()}});
  config.is_own_address = [](const net::IpAddress& address) {
    return address.to_string() == "127.0.0.3";
  };
  ASSERT_TRUE(start(config));
  EXPECT_FALSE(forwarding_within(std::chrono::milliseconds(300)));
  while (sensor_.readable(0)) {
    Wire wire(sensor_.accept());
    EXPECT_FALSE(wire.receive()) << "a dial that was given up";
  }
}
INSTANTIATE_TEST_SUITE_P(EveryMode, SensorsPod,
                         testing::Values(SensorMode::kReplicate, SensorMode::kFailover,
                                         SensorMode::kBalance));

TEST_F(ActiveMode, ReplicateGivesEverySensorItsCapture) {
  const LocalSocket other(SOCK_STREAM);
  ASSERT_TRUE(start(config_for({sensor_.port(), other.port()})));
  const auto first = capture_over_udp();
  Wire second(other.accept());
  open_interface(second);
  expect_type(second.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  EXPECT_EQ(control_.captures(), 2U);
}

TEST_F(ActiveMode, ReplicateForwardsOnlyWhileEverySensorGetsThePackets) {
  const LocalSocket other(SOCK_STREAM);
  ASSERT_TRUE(start(config_for({sensor_.port(), other.port()})));
  const auto first = capture_over_udp();
  EXPECT_FALSE(forwarding_within(std::chrono::milliseconds(100)))
      << "what a peer leaves to this tap the second sensor would never see";
  Wire second(other.accept());
  open_interface(second);
  expect_type(second.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  EXPECT_TRUE(wait_for_forwarding(true));
  second.close();
  EXPECT_TRUE(wait_for_forwarding(false));
}

TEST_F(ActiveMode, BalanceForwardsAsSoonAsOneSensorTakesThePackets) {
  const LocalSocket other(SOCK_STREAM);
  auto config = config_for({sensor_.port(), other.port()});
  config.mode = SensorMode::kBalance;
  ASSERT_TRUE(start(config));
  const auto first = capture_over_udp();
  EXPECT_TRUE(wait_for_forwarding(true));
}

TEST_F(ActiveMode, FailoverDialsTheNextOnlyWhileTheFirstIsAway) {
  std::uint16_t port = 0;
  {
    const LocalSocket away(SOCK_STREAM);
    port = away.port();
  }
  const LocalSocket second(SOCK_STREAM);
  auto config = config_for({port, second.port()});
  config.mode = SensorMode::kFailover;
  ASSERT_TRUE(start(config));
  Wire spare(second.accept());
  open_interface(spare);
  expect_type(spare.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  EXPECT_EQ(control_.captures(), 1U);

  const LocalSocket back(SOCK_STREAM, port);
  Wire first(back.accept());
  open_interface(first);
  EXPECT_EQ(control_.captures(), 1U) << "no gap: the spare one forwards until the first does";
  expect_type(first.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  expect_type(spare.receive(), MessageType::kClose);
  spare.close();
  EXPECT_TRUE(control_.wait_for_captures(1));

  first.close();
  Wire again(second.accept());
  open_interface(again);
}

TEST_F(ActiveMode, FailoverDoesNotWaitForASensorThatAsksForNothing) {
  const LocalSocket second(SOCK_STREAM);
  auto config = config_for({sensor_.port(), second.port()});
  config.mode = SensorMode::kFailover;
  config.failover_patience = std::chrono::milliseconds(100);
  ASSERT_TRUE(start(config));
  Wire idle(sensor_.accept());
  open_interface(idle);
  Wire spare(second.accept());
  open_interface(spare);
  expect_type(spare.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  // The idle one is not given up: when it asks, it takes over.
  expect_type(idle.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  expect_type(spare.receive(), MessageType::kClose);
}

}  // namespace
}  // namespace sidetap::session
