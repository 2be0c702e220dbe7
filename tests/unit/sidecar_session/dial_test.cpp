// When a sensor is dialed again, given up, or not dialed at all.
#include <atomic>
#include <cstdint>

#include "sidecar/session/sockets.h"
#include "tests/unit/sidecar_session/active_fixture.h"

namespace sidetap::session {
namespace {

using rpcap::MessageType;

TEST(DialUdp, ChoosesAnAddressWhereTheOneAskedForIsGone) {
  const LocalSocket udp(SOCK_DGRAM);
  const Endpoint peer(boost::asio::ip::make_address("127.0.0.1"), udp.port());
  const Exclude exclude = [](const capture::OwnEndpoint&) { return std::chrono::milliseconds(0); };
  for (const char* gone : {"192.0.2.1", "2001:db8::1"}) {
    const auto fd = dial_udp(peer, exclude, boost::asio::ip::make_address(gone));
    ASSERT_TRUE(fd) << gone;
    ASSERT_EQ(::send(fd->get(), "x", 1, 0), 1) << gone;
    EXPECT_EQ(udp.receive(), "x");
  }
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

}  // namespace
}  // namespace sidetap::session
