// When a sensor is dialed again, given up, or not dialed at all.
#include <atomic>
#include <chrono>
#include <cstdint>

#include <boost/asio/post.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
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

int tcp_option(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, name, &value, &size), 0);
  return value;
}

TEST(KeepAlive, AsksASilentPeerSeveralTimesBeforeItsTimeIsOver) {
  for (const int silence : {3, 5, 12}) {
    const net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    keep_alive(fd.get(), std::chrono::seconds(silence));
    EXPECT_EQ(tcp_option(fd.get(), TCP_USER_TIMEOUT), silence * 1'000);
    const int pause = tcp_option(fd.get(), TCP_KEEPINTVL);
    EXPECT_GE((silence - tcp_option(fd.get(), TCP_KEEPIDLE)) / pause, 2) << silence;
    EXPECT_LE(pause * 4, silence + 1) << "how much later than asked for it may be";
  }
}

/// This process's end of a connection to that port; -1: there is none.
int connection_to(std::uint16_t port) {
  for (int fd = 3; fd < 1'024; ++fd) {
    const auto peer = peer_endpoint(fd);
    if (peer && peer->port() == port) return fd;
  }
  return -1;
}

TEST_F(ActiveMode, ASensorMayBeSilentForAsLongAsIsSaid) {
  auto config = config_for({sensor_.port()});
  config.sensor_silence = std::chrono::milliseconds(7'000);
  ASSERT_TRUE(start(config));
  const auto wire = capture_over_udp();
  const int control = connection_to(sensor_.port());
  ASSERT_GE(control, 0);
  EXPECT_EQ(tcp_option(control, TCP_USER_TIMEOUT), 7'000);
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

TEST_F(ActiveMode, DialsAtOnceWhenTheTapIsAboutToEnd) {
  std::uint16_t port = 0;
  {
    const LocalSocket nobody(SOCK_STREAM);
    port = nobody.port();
  }
  auto config = config_for({port});
  config.backoff = {std::chrono::hours(1), std::chrono::hours(1)};
  ASSERT_TRUE(start(config));
  ASSERT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"connect\"} 1"));
  const LocalSocket late(SOCK_STREAM, port);
  boost::asio::post(context_, [this] { sessions_->dial_soon(); });
  Wire wire(late.accept());
  open_interface(wire);
}

TEST_F(ActiveMode, DialsInShortIntervalsWhileTheTapIsAboutToEnd) {
  auto config = config_for({1});
  config.backoff = {std::chrono::milliseconds(20), std::chrono::hours(1)};
  ASSERT_TRUE(start(config));
  boost::asio::post(context_, [this] { sessions_->dial_soon(); });
  // Otherwise the waits would have grown to minutes.
  EXPECT_TRUE(wait_for_metric("sidetap_session_ends_total{kind=\"connect\"} 15"));
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
