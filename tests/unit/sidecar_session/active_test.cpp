// The conversation with a sensor that was dialed: captures, filters, faults and the end.
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include <netinet/tcp.h>

#include "tests/unit/sidecar_session/active_fixture.h"

namespace sidetap::session {
namespace {

using rpcap::MessageType;
using testing::HasSubstr;

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
