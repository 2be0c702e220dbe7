// Active mode: the tap dials a sensor on the loopback.
#include <atomic>

#include <netinet/tcp.h>

#include "tests/unit/sidecar_session/sessions_fixture.h"

namespace sidetap::session {
namespace {

using rpcap::MessageType;
using testing::HasSubstr;

class ActiveMode : public SessionsTest {
 protected:
  /// The sensor starts a capture over UDP.
  std::unique_ptr<Wire> capture_over_udp() {
    auto wire = std::make_unique<Wire>(sensor_.accept());
    open_interface(*wire);
    expect_type(wire->ask(start_request(rpcap::kStartDatagram, udp_.port())),
                MessageType::kStartCaptureReply);
    return wire;
  }
  LocalSocket sensor_{SOCK_STREAM};
  LocalSocket udp_{SOCK_DGRAM};
};

TEST_F(ActiveMode, CapturesOverUdpAsUdpstr) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  ASSERT_TRUE(control_.wait_for_captures(1));
  EXPECT_TRUE(wait_for_forwarding(true));
  control_.newest([&](const CaptureOrder& order) {
    EXPECT_EQ(order.kind, DataKind::kUdpstr);
    EXPECT_EQ(order.sensor, "127.0.0.1:" + std::to_string(sensor_.port()));
    EXPECT_EQ(order.snaplen, 65'535U);
    EXPECT_GE(order.datagram_size, 1'472U);
  });
  control_.send_packet("hello");
  const std::string datagram = udp_.receive();
  ASSERT_EQ(datagram.size(), 33U);
  EXPECT_EQ(datagram[1], 110);
  EXPECT_EQ(datagram.substr(28), "hello");
}

TEST_F(ActiveMode, CapturesOverPlainUdpWithTheMtuThatIsConfigured) {
  auto config = config_for({sensor_.port()});
  config.udp_format = UdpFormat::kPlain;
  config.data_mtu = 1'400;
  ASSERT_TRUE(start(config));
  const auto wire = capture_over_udp();
  control_.newest([&](const CaptureOrder& order) {
    EXPECT_EQ(order.kind, DataKind::kUdp);
    EXPECT_EQ(order.datagram_size, 1'372U);
  });
}

TEST_F(ActiveMode, CapturesOverTcpThatStandsBeforeTheReply) {
  LocalSocket data(SOCK_STREAM);
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  Wire wire(sensor_.accept());
  open_interface(wire);
  const auto reply = wire.ask(start_request(rpcap::kStartServerOpens, data.port()));
  expect_type(reply, MessageType::kStartCaptureReply);
  EXPECT_EQ(rpcap::decode_start_reply(reply->payload)->data_port, 0);
  EXPECT_TRUE(data.readable(0)) << "the data connection comes before the reply";
  Wire packets(data.accept());
  control_.newest([](const CaptureOrder& order) { EXPECT_EQ(order.kind, DataKind::kTcp); });
  control_.send_packet("over tcp");
  const auto message = packets.receive();
  expect_type(message, MessageType::kPacket);
  EXPECT_EQ(message->header.payload_size, 28U);
}

TEST_F(ActiveMode, ItsOwnConnectionsAreExcludedBeforeTheyCarryAnything) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  const auto own = control_.excluded()["session 0"];
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  ::getpeername(wire->get(), reinterpret_cast<sockaddr*>(&peer), &size);
  ASSERT_EQ(own.size(), 2U);
  EXPECT_EQ(own[0].protocol, capture::IpProtocol::kTcp);
  EXPECT_EQ(own[0].local_port, ntohs(peer.sin_port));
  EXPECT_EQ(own[0].remote_port, sensor_.port());
  EXPECT_EQ(own[0].remote.to_string(), "127.0.0.1");
  EXPECT_EQ(own[1].protocol, capture::IpProtocol::kUdp);
  EXPECT_EQ(own[1].remote_port, udp_.port());
  control_.send_packet("x");
  sockaddr_in from{};
  size = sizeof from;
  char byte = 0;
  ASSERT_TRUE(udp_.readable(10'000));
  ::recvfrom(udp_.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size);
  EXPECT_EQ(own[1].local_port, ntohs(from.sin_port));
}

TEST_F(ActiveMode, ASessionThatThrowsLeavesNoCaptureBehindAndIsBegunAnew) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  ASSERT_TRUE(control_.wait_for_captures(1));
  control_.throw_once();
  EXPECT_FALSE(wire->ask(rpcap::encode_empty(MessageType::kStatsRequest)));
  EXPECT_TRUE(control_.wait_for_captures(0)) << "with two, the sensor would get packets twice";
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"lost\"} 1"));
  const auto again = capture_over_udp();
  EXPECT_TRUE(control_.wait_for_captures(1));
}

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

TEST_F(ActiveMode, APodThatIsASensorDoesNotForwardToItselfWhileItIs) {
  std::atomic<bool> is_own = true;
  auto config = config_for({});
  config.sensors.push_back({.address = {"localhost", sensor_.port()}});
  config.is_own_address = [&](const net::IpAddress&) { return is_own.load(); };
  ASSERT_TRUE(start(config));
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"self\"}"));
  EXPECT_FALSE(sensor_.readable(0));
  is_own = false;  // the address has gone to another pod
  const auto wire = capture_over_udp();
  EXPECT_TRUE(wait_for_forwarding(true));
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

TEST_F(ActiveMode, AWholeConversation) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  const rpcap::Filter filter = {{0x28, 0, 0, 12}, {6, 0, 0, 96}};
  expect_type(wire->ask(rpcap::encode_update_filter(filter)), MessageType::kUpdateFilterReply);
  control_.newest([&](const CaptureOrder& order) { EXPECT_EQ(order.filter, filter); });
  const auto stats = wire->ask(rpcap::encode_empty(MessageType::kStatsRequest));
  expect_type(stats, MessageType::kStatsReply);
  EXPECT_EQ(*rpcap::decode_stats(stats->payload), (rpcap::Stats{10, 1, 2, 7}));
  expect_type(wire->ask(rpcap::encode_empty(MessageType::kEndCaptureRequest)),
              MessageType::kEndCaptureReply);
  EXPECT_EQ(control_.captures(), 0U);
  EXPECT_TRUE(wait_for_forwarding(false));
  expect_type(wire->ask(rpcap::encode_sampling({rpcap::SamplingMethod::kOneInN, 10})),
              MessageType::kSetSamplingReply);
  expect_type(wire->ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  control_.newest([](const CaptureOrder& order) { EXPECT_EQ(order.sampling.value, 10U); });
}

TEST_F(ActiveMode, DialsAgainAfterClose) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto first = capture_over_udp();
  first->send(rpcap::encode_empty(MessageType::kClose));
  EXPECT_FALSE(first->receive()) << "the tap hangs up";
  EXPECT_TRUE(control_.wait_for_captures(0));
  const auto second = capture_over_udp();
  EXPECT_TRUE(control_.wait_for_captures(1));
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"closed\"} 1"));
}

TEST_F(ActiveMode, DialsAgainWhenTheSensorDies) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  auto first = capture_over_udp();
  first->close();
  const auto second = capture_over_udp();
  EXPECT_TRUE(control_.wait_for_captures(1));
}

TEST_F(ActiveMode, DialsAgainAfterARefusal) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  {
    Wire wire(sensor_.accept());
    wire.send(rpcap::encode_error(rpcap::ErrorCode::kHostNotAuthorized, "not you"));
    EXPECT_FALSE(wire.receive());
  }
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"refused\"} 1"));
  capture_over_udp();
}

TEST_F(ActiveMode, KeepsDiallingUntilTheSensorListens) {
  std::uint16_t port = 0;
  {
    const LocalSocket nobody(SOCK_STREAM);
    port = nobody.port();
  }
  ASSERT_TRUE(start(config_for({port})));
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"connect\"} 3"));
  const LocalSocket late(SOCK_STREAM, port);
  Wire wire(late.accept());
  open_interface(wire);
}

TEST_F(ActiveMode, GivesUpASensorThatFallsSilentInMidMessage) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  Wire wire(sensor_.accept());
  wire.send(rpcap::Bytes(5));  // more than half a header
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"timeout\"} 1"));
  Wire again(sensor_.accept());
  rpcap::Bytes auth = rpcap::encode_auth_request({});
  auth.resize(auth.size() - 1);
  again.send(auth);
  EXPECT_FALSE(again.receive());
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"timeout\"} 2"));
}

TEST_F(ActiveMode, AFaultOfTheDataConnectionEndsTheSessionAndDialsAgain) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  const auto fault = control_.newest([](const CaptureOrder& order) { return order.on_fault; });
  fault("port unreachable");
  const auto error = wire->receive();
  expect_type(error, MessageType::kError);
  EXPECT_THAT(rpcap::decode_error(error->payload), HasSubstr("port unreachable"));
  EXPECT_FALSE(wire->receive());
  EXPECT_TRUE(control_.wait_for_captures(0));
  const auto second = capture_over_udp();
  fault("an old capture's fault");
  expect_type(second->ask(rpcap::encode_empty(MessageType::kStatsRequest)),
              MessageType::kStatsReply);
}

TEST_F(ActiveMode, AFaultOfAnEndedCaptureIsNoFault) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  const auto fault = control_.newest([](const CaptureOrder& order) { return order.on_fault; });
  expect_type(wire->ask(rpcap::encode_empty(MessageType::kEndCaptureRequest)),
              MessageType::kEndCaptureReply);
  fault("too late");
  expect_type(wire->ask(rpcap::encode_empty(MessageType::kStatsRequest)), MessageType::kStatsReply);
}

TEST_F(ActiveMode, AnUnusableFilterIsAnsweredAndTheSessionGoesOn) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  Wire wire(sensor_.accept());
  open_interface(wire);
  control_.refuse(true);
  const auto refused = wire.ask(start_request(rpcap::kStartDatagram, udp_.port()));
  expect_type(refused, MessageType::kError);
  EXPECT_EQ(refused->header.value, 12);
  control_.refuse(false);
  expect_type(wire.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
  control_.refuse(true);
  expect_type(wire.ask(rpcap::encode_update_filter({})), MessageType::kError);
  EXPECT_EQ(control_.captures(), 1U);
}

TEST_F(ActiveMode, ADataPortWhereNobodyListensIsAnsweredAndTheSessionGoesOn) {
  std::uint16_t closed = 0;
  {
    const LocalSocket nobody(SOCK_STREAM);
    closed = nobody.port();
  }
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  Wire wire(sensor_.accept());
  open_interface(wire);
  const auto refused = wire.ask(start_request(0, closed));
  expect_type(refused, MessageType::kError);
  EXPECT_THAT(rpcap::decode_error(refused->payload), HasSubstr("refused"));
  expect_type(wire.ask(start_request(rpcap::kStartDatagram, udp_.port())),
              MessageType::kStartCaptureReply);
}

TEST_F(ActiveMode, StopEndsTheCaptureAndSaysClose) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  const auto wire = capture_over_udp();
  std::thread stopping([this] { stop(); });
  expect_type(wire->receive(), MessageType::kClose);
  EXPECT_FALSE(wire->receive());
  EXPECT_EQ(control_.captures(), 0U);
  EXPECT_EQ(control_.stops(), 1);
  wire->close();
  stopping.join();
  EXPECT_FALSE(sensor_.readable(200)) << "nothing is dialled any more";
}

TEST_F(ActiveMode, StopEndsDiallingToo) {
  ASSERT_TRUE(start(config_for({1})));
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"connect\"} 1"));
  stop();
  EXPECT_FALSE(sessions_->forwarding());
}

TEST_F(ActiveMode, ALookUpThatFailsIsTriedAgain) {
  SessionsConfig config = config_for({});
  config.sensors.push_back(
      {.address = {"no-such-host.invalid", 2003}, .ipv6_family = rpcap::Ipv6Family::kLinux});
  ASSERT_TRUE(start(config));
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"look_up\"} 2"));
}

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

TEST_F(ActiveMode, ADeadPeerIsProbedFor) {
  ASSERT_TRUE(start(config_for({sensor_.port()})));
  LocalSocket data(SOCK_STREAM);
  Wire wire(sensor_.accept());
  open_interface(wire);
  expect_type(wire.ask(start_request(0, data.port())), MessageType::kStartCaptureReply);
  control_.newest([](const CaptureOrder& order) {
    const auto option = [&](int level, int name) {
      int value = 0;
      socklen_t size = sizeof value;
      ::getsockopt(order.socket.get(), level, name, &value, &size);
      return value;
    };
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_LE(option(IPPROTO_TCP, TCP_KEEPIDLE) +
                  option(IPPROTO_TCP, TCP_KEEPINTVL) * option(IPPROTO_TCP, TCP_KEEPCNT),
              15);
    EXPECT_LE(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 15'000);
  });
}

}  // namespace
}  // namespace sidetap::session
