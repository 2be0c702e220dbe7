#include "sidecar/collector/datagram_port.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "shared/net/ip_address.h"

namespace sidetap::collector {
namespace {

Error port_error(const char* what) {
  return Error{std::string(what) + ": " + std::generic_category().message(errno)};
}

struct PortAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

PortAddress port_address(bool v4, const net::IpAddress& address, std::uint16_t port) {
  PortAddress result;
  if (v4) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(address.v4_bits());
    std::memcpy(&result.bytes, &to, sizeof to);
    result.size = sizeof to;
  } else {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    const auto bytes = address.v6_bytes();
    std::memcpy(&to.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&result.bytes, &to, sizeof to);
    result.size = sizeof to;
  }
  return result;
}

Result<net::UniqueFd> bind_datagrams(const PortAddress& address, bool both_families) {
  net::UniqueFd fd(socket(address.bytes.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return port_error("socket");
  const int only_v6 = both_families ? 0 : 1;
  if (address.bytes.ss_family == AF_INET6)
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.size) != 0)
    return port_error("bind");
  return fd;
}

}  // namespace

Result<net::UniqueFd> open_datagram_port(const net::HostPort& where, std::uint32_t buffer) {
  Result<net::UniqueFd> fd = Error{};
  if (where.host.empty()) {
    fd = bind_datagrams(port_address(false, {}, where.port), true);
    // A kernel without IPv6 refuses that.
    if (!fd) fd = bind_datagrams(port_address(true, net::IpAddress::v4(0), where.port), false);
  } else {
    const auto address = net::IpAddress::parse(where.host);
    if (!address) return Error{where.to_string() + ": an address is needed, not a name"};
    fd = bind_datagrams(port_address(address->is_v4(), *address, where.port), false);
  }
  if (!fd) return Error{where.to_string() + "/udp: " + fd.error().text};
  const int one = 1;
  setsockopt(fd->get(), SOL_UDP, UDP_GRO, &one, sizeof one);
  // The forced size needs a right, the other is bounded by the system.
  const int size = static_cast<int>(buffer);
  if (setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
    setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  return fd;
}

std::size_t buffer_size(int port) {
  int size = 0;
  socklen_t length = sizeof size;
  if (getsockopt(port, SOL_SOCKET, SO_RCVBUF, &size, &length) != 0 || size < 0) return 0;
  return static_cast<std::size_t>(size);
}

}  // namespace sidetap::collector
