#include "shared/net/socket_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sidetap::net {
namespace {

SocketAddress read(const sockaddr_storage& from) {
  return read_socket_address(reinterpret_cast<const sockaddr*>(&from));
}

TEST(SocketAddressTest, ReadsWhatItHasWritten) {
  for (const char* text : {"10.1.2.3", "fd00::1:2", "::"}) {
    const SocketAddress address{*IpAddress::parse(text), 2003};
    sockaddr_storage bytes{};
    const std::size_t size = write_socket_address(address, bytes);
    EXPECT_EQ(size, address.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)) << text;
    EXPECT_EQ(read(bytes), address) << text;
  }
}

TEST(SocketAddressTest, WritesNetworkOrder) {
  sockaddr_storage bytes{};
  write_socket_address({IpAddress::v4(0x7f000001), 0x1234}, bytes);
  const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&bytes);
  EXPECT_EQ(v4->sin_family, AF_INET);
  EXPECT_EQ(v4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  EXPECT_EQ(v4->sin_port, htons(0x1234));
}

TEST(SocketAddressTest, AMappedAddressIsOneOfVersionFour) {
  sockaddr_storage bytes{};
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&bytes);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(53);
  v6->sin6_addr.s6_addr[10] = v6->sin6_addr.s6_addr[11] = 0xff;
  v6->sin6_addr.s6_addr[15] = 9;
  EXPECT_EQ(read(bytes), (SocketAddress{IpAddress::v4(9), 53}));
}

TEST(SocketAddressTest, KnowsNoOtherFamily) {
  sockaddr_storage bytes{};
  bytes.ss_family = AF_UNIX;
  EXPECT_EQ(read(bytes), SocketAddress{});
}

}  // namespace
}  // namespace sidetap::net
