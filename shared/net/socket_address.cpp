#include "shared/net/socket_address.h"

#include <array>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>

namespace sidetap::net {

SocketAddress read_socket_address(const sockaddr* from) {
  if (from->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, from, sizeof v4);
    return {IpAddress::v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  if (from->sa_family != AF_INET6) return {};
  sockaddr_in6 v6{};
  std::memcpy(&v6, from, sizeof v6);
  std::array<std::byte, 16> bytes{};
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return {IpAddress::from_v6_bytes(bytes), ntohs(v6.sin6_port)};
}

std::size_t write_socket_address(const SocketAddress& address, sockaddr_storage& to) {
  to = {};
  if (address.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    v4.sin_addr.s_addr = htonl(address.address.v4_bits());
    std::memcpy(&to, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  const auto bytes = address.address.v6_bytes();
  std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
  std::memcpy(&to, &v6, sizeof v6);
  return sizeof v6;
}

}  // namespace sidetap::net
