#include "sidecar/system/kernel_sockets.h"

#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

struct Listener {
  net::UniqueFd fd;
  std::uint16_t port = 0;
};

Listener listen4(std::uint32_t address) {
  Listener l{net::UniqueFd(::socket(AF_INET, SOCK_STREAM, 0))};
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(address);
  socklen_t size = sizeof a;
  EXPECT_EQ(::bind(l.fd.get(), reinterpret_cast<sockaddr*>(&a), size), 0);
  EXPECT_EQ(::listen(l.fd.get(), 1), 0);
  ::getsockname(l.fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  l.port = ntohs(a.sin_port);
  return l;
}

Listener listen6(bool only_v6) {
  Listener l{net::UniqueFd(::socket(AF_INET6, SOCK_STREAM, 0))};
  const int only = only_v6 ? 1 : 0;
  ::setsockopt(l.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  socklen_t size = sizeof a;
  EXPECT_EQ(::bind(l.fd.get(), reinterpret_cast<sockaddr*>(&a), size), 0);
  EXPECT_EQ(::listen(l.fd.get(), 1), 0);
  ::getsockname(l.fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  l.port = ntohs(a.sin6_port);
  return l;
}

TEST(KernelListeningSockets, FindsWildcardAndExactListeners) {
  const Listener everywhere = listen4(INADDR_ANY);
  const Listener here = listen4(INADDR_LOOPBACK);
  KernelListeningSockets sockets;
  const Result<void> asked = sockets.refresh();
  ASSERT_TRUE(asked) << asked.error().text;
  EXPECT_TRUE(sockets.is_listening(ip("10.1.2.3"), everywhere.port));
  EXPECT_FALSE(sockets.is_listening(ip("fd00::1"), everywhere.port));
  EXPECT_TRUE(sockets.is_listening(ip("127.0.0.1"), here.port));
  EXPECT_FALSE(sockets.is_listening(ip("10.1.2.3"), here.port));
}

TEST(KernelListeningSockets, Ipv6WildcardServesIpv4UnlessItIsOnlyIpv6) {
  const Listener both = listen6(false);
  if (!both.fd) GTEST_SKIP() << "no IPv6 in this kernel";
  const Listener only = listen6(true);
  KernelListeningSockets sockets;
  EXPECT_TRUE(sockets.is_listening(ip("10.1.2.3"), both.port));
  EXPECT_TRUE(sockets.is_listening(ip("fd00::1"), both.port));
  EXPECT_FALSE(sockets.is_listening(ip("10.1.2.3"), only.port));
  EXPECT_TRUE(sockets.is_listening(ip("fd00::1"), only.port));
}

TEST(KernelListeningSockets, KeepsItsAnswerForAWhile) {
  KernelListeningSockets patient(1'000'000'000);  // a second
  EXPECT_FALSE(patient.is_listening(ip("127.0.0.1"), 0));
  const Listener late = listen4(INADDR_LOOPBACK);
  EXPECT_FALSE(patient.is_listening(ip("127.0.0.1"), late.port));
  ASSERT_TRUE(patient.refresh());
  EXPECT_TRUE(patient.is_listening(ip("127.0.0.1"), late.port));
}

TEST(KernelListeningSockets, NoticesSoonWhoHasGone) {
  using Clock = std::chrono::steady_clock;
  Clock::duration quickest = std::chrono::hours(1);
  // The best of many: a busy machine may hold up any of them.
  for (int attempt = 0; attempt < 10; ++attempt) {
    KernelListeningSockets sockets;
    std::uint16_t port = 0;
    {
      const Listener listener = listen4(INADDR_LOOPBACK);
      port = listener.port;
      ASSERT_TRUE(sockets.is_listening(ip("127.0.0.1"), port));
    }
    const auto start = Clock::now();
    while (sockets.is_listening(ip("127.0.0.1"), port)) continue;
    quickest = std::min(quickest, Clock::now() - start);
  }
  EXPECT_LT(quickest, std::chrono::milliseconds(500));
}

TEST(PortRange, IsReadAsTheKernelWritesIt) {
  EXPECT_EQ(parse_port_range("32768\t60999\n").value(), (ownership::PortRange{32768, 60999}));
  EXPECT_EQ(parse_port_range("1 65535").value(), (ownership::PortRange{1, 65535}));
  for (const char* bad : {"", "1", "2 1", "1 70000", "1 2 3", "a b"}) {
    EXPECT_FALSE(parse_port_range(bad)) << bad;
  }
  EXPECT_TRUE(read_port_range());
  EXPECT_FALSE(read_port_range("/nonexistent"));
}

}  // namespace
}  // namespace sidetap
