// The address of a socket of the Internet families, as a value (ip(7), ipv6(7)).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "shared/net/ip_address.h"

struct sockaddr;
struct sockaddr_storage;

namespace sidetap::net {

struct SocketAddress {
  IpAddress address{};
  std::uint16_t port = 0;  ///< Host order.
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

/// Reads a complete sockaddr_in or sockaddr_in6. Of another family: "::" and port 0.
SocketAddress read_socket_address(const sockaddr* from);
/// Writes a sockaddr_in for an IPv4 address, and a sockaddr_in6 otherwise. Returns its size in
/// bytes.
std::size_t write_socket_address(const SocketAddress& address, sockaddr_storage& to);

}  // namespace sidetap::net

template <>
struct std::hash<sidetap::net::SocketAddress> {
  std::size_t operator()(const sidetap::net::SocketAddress& a) const noexcept {
    return std::hash<sidetap::net::IpAddress>()(a.address) ^
           static_cast<std::size_t>(a.port * 0x9e3779b97f4a7c15ULL);
  }
};
