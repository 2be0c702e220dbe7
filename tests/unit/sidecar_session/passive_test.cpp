// Passive mode: clients dial the tap, as libpcap's rpcap://HOST does.
#include "tests/unit/sidecar_session/sessions_fixture.h"

namespace sidetap::session {
namespace {

using rpcap::MessageType;
using testing::HasSubstr;

net::UniqueFd dial(std::uint16_t port) {
  net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), generic(address), sizeof address) != 0) fd.reset();
  return fd;
}

class PassiveMode : public SessionsTest {
 protected:
  static SessionsConfig listening(std::vector<net::Cidr> clients = {}) {
    SessionsConfig config = config_for({});
    config.passive = PassiveSettings{.listen = {"127.0.0.1", 0},
                                     .clients = std::move(clients),
                                     .ipv6_family = rpcap::Ipv6Family::kWindows,
                                     .udp_format = UdpFormat::kPlain,
                                     .most_sessions = 2};
    return config;
  }
  Wire client() { return Wire(dial(sessions_->passive_port())); }
  std::unique_ptr<Wire> capture_over(const LocalSocket& udp) {
    auto wire = std::make_unique<Wire>(dial(sessions_->passive_port()));
    open_interface(*wire);
    expect_type(wire->ask(start_request(rpcap::kStartDatagram, udp.port())),
                MessageType::kStartCaptureReply);
    return wire;
  }
  bool gets_served() {
    Wire wire = client();
    const auto answer = wire.ask(rpcap::encode_auth_request({}));
    return answer && answer->header.type == MessageType::kAuthReply;
  }
};

TEST_F(PassiveMode, ReturnsThePortOnWhichItWaitsForTheDataConnection) {
  ASSERT_TRUE(start(listening()));
  Wire wire = client();
  open_interface(wire);
  const auto reply = wire.ask(start_request(0, 0));
  expect_type(reply, MessageType::kStartCaptureReply);
  const auto port = rpcap::decode_start_reply(reply->payload)->data_port;
  ASSERT_NE(port, 0);
  const auto own = control_.excluded()["client 0"];
  ASSERT_EQ(own.size(), 1U);
  EXPECT_EQ(own[0].local_port, port);
  Wire data(dial(port));
  ASSERT_TRUE(control_.wait_for_captures(1));
  control_.send_packet("to a client");
  expect_type(data.receive(), MessageType::kPacket);
  wire.send(rpcap::encode_empty(MessageType::kClose));
  EXPECT_TRUE(control_.wait_for_captures(0));
}

TEST_F(PassiveMode, AClientIsNoSensorOnWhichPeersMayCount) {
  const LocalSocket udp(SOCK_DGRAM);
  ASSERT_TRUE(start(listening()));
  const auto wire = capture_over(udp);
  EXPECT_TRUE(wait_for_metric("sidetap_sessions{state=\"capturing\"} 1"));
  EXPECT_FALSE(forwarding_within(std::chrono::milliseconds(100)));
}

TEST_F(PassiveMode, DialsTheClientForUdp) {
  const LocalSocket udp(SOCK_DGRAM);
  ASSERT_TRUE(start(listening()));
  const auto wire = capture_over(udp);
  control_.newest([](const CaptureOrder& order) {
    EXPECT_EQ(order.kind, DataKind::kUdp) << "libpcap's client does not know udpstr";
  });
  control_.send_packet("by udp");
  EXPECT_EQ(udp.receive().substr(28), "by udp");
}

TEST_F(PassiveMode, SendsItsPacketsFromTheAddressThatTheClientHasDialled) {
  const LocalSocket udp(SOCK_DGRAM);
  SessionsConfig config = listening();
  config.passive->listen.host = "0.0.0.0";
  ASSERT_TRUE(start(config));
  sockaddr_in other = loopback(sessions_->passive_port());
  other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(::connect(fd.get(), generic(other), sizeof other), 0);
  Wire wire(std::move(fd));
  open_interface(wire);
  expect_type(wire.ask(start_request(rpcap::kStartDatagram, udp.port())),
              MessageType::kStartCaptureReply);
  control_.send_packet("from here");
  ASSERT_TRUE(udp.readable(10'000));
  sockaddr_in from{};
  socklen_t size = sizeof from;
  char first = 0;
  ASSERT_EQ(::recvfrom(udp.get(), &first, 1, 0, reinterpret_cast<sockaddr*>(&from), &size), 1);
  EXPECT_EQ(from.sin_addr.s_addr, other.sin_addr.s_addr);
}

TEST_F(PassiveMode, TheCaptureSaysThatItIsAClients) {
  const LocalSocket udp(SOCK_DGRAM);
  ASSERT_TRUE(start(listening()));
  const auto wire = capture_over(udp);
  EXPECT_TRUE(control_.newest([](const CaptureOrder& order) { return order.client; }));
}

TEST_F(PassiveMode, ADataConnectionThatNeverComesIsAnErrorAndTheSessionGoesOn) {
  SessionsConfig config = listening();
  config.connect_timeout = std::chrono::milliseconds(100);
  ASSERT_TRUE(start(config));
  Wire wire = client();
  open_interface(wire);
  expect_type(wire.ask(start_request(0, 0)), MessageType::kStartCaptureReply);
  const auto error = wire.receive();
  expect_type(error, MessageType::kError);
  EXPECT_THAT(rpcap::decode_error(error->payload), HasSubstr("nobody connected"));
  expect_type(wire.ask(rpcap::encode_empty(MessageType::kStatsRequest)), MessageType::kStatsReply);
}

TEST_F(PassiveMode, ListensOnEveryAddressOfBothFamilies) {
  SessionsConfig config = listening();
  config.passive->listen.host = "";
  ASSERT_TRUE(start(config));
  Wire wire = client();  // arrives as an IPv4-mapped address
  open_interface(wire);
  const auto reply = wire.ask(start_request(0, 0));
  expect_type(reply, MessageType::kStartCaptureReply);
  Wire data(dial(rpcap::decode_start_reply(reply->payload)->data_port));
  EXPECT_TRUE(control_.wait_for_captures(1));
}

TEST_F(PassiveMode, StrangersAreTurnedAway) {
  ASSERT_TRUE(start(listening({net::Cidr::parse("10.0.0.0/8").value()})));
  Wire wire = client();
  const auto error = wire.receive();
  expect_type(error, MessageType::kError);
  EXPECT_EQ(error->header.value, 10);
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(wait_for_metric("sidetap_session_clients_refused_total{reason=\"address\"} 1"));
}

TEST_F(PassiveMode, ServesAsManyClientsAsItMay) {
  ASSERT_TRUE(start(listening()));
  Wire first = client();
  Wire second = client();
  open_interface(first);
  open_interface(second);
  Wire third = client();
  expect_type(third.receive(), MessageType::kError);
  second.close();
  for (int i = 0; i < 100; ++i) {
    Wire again = client();
    again.send(rpcap::encode_auth_request({}));
    const auto answer = again.receive();
    if (answer && answer->header.type == MessageType::kAuthReply) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL() << "the place of a client that left is free again";
}

TEST_F(PassiveMode, ASessionThatThrowsIsCountedAndLeavesNothingBehind) {
  const LocalSocket udp(SOCK_DGRAM);
  ASSERT_TRUE(start(listening()));
  const auto wire = capture_over(udp);
  ASSERT_TRUE(control_.wait_for_captures(1));
  control_.throw_once();
  EXPECT_FALSE(wire->ask(rpcap::encode_empty(MessageType::kStatsRequest)));
  EXPECT_TRUE(control_.wait_for_captures(0));
  EXPECT_TRUE(wait_for_metric("sidetap_task_failures_total{task=\"client-session\"} 1"));
  EXPECT_TRUE(wait_for_metric("sidetap_sessions{state=\"capturing\"} 0"));
  EXPECT_TRUE(gets_served());
}

TEST_F(PassiveMode, StopSaysCloseToClients) {
  ASSERT_TRUE(start(listening()));
  Wire wire = client();
  open_interface(wire);
  std::thread stopping([this] { stop(); });
  expect_type(wire.receive(), MessageType::kClose);
  wire.close();
  stopping.join();
  EXPECT_FALSE(dial(sessions_->passive_port())) << "nobody listens any more";
}

TEST_F(PassiveMode, AnAddressThatCannotBeListenedOnIsNamed) {
  SessionsConfig config = listening();
  const LocalSocket taken(SOCK_STREAM);
  config.passive->listen = {"127.0.0.1", taken.port()};
  const auto started = start(config);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text, HasSubstr("127.0.0.1:" + std::to_string(taken.port())));
}

}  // namespace
}  // namespace sidetap::session
