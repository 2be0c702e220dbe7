#include "sidecar/collector/datagram_port.h"

#include <cerrno>
#include <string>
#include <system_error>

#include <netinet/in.h>
#include <sys/socket.h>

#include "shared/net/datagram_batch.h"
#include "shared/net/ip_address.h"
#include "shared/net/socket_address.h"

namespace sidetap::collector {
namespace {

Error port_error(const char* what) {
  return Error{std::string(what) + ": " + std::generic_category().message(errno)};
}

Result<net::UniqueFd> bind_datagrams(const net::SocketAddress& where, bool both_families) {
  sockaddr_storage address{};
  const auto size = static_cast<socklen_t>(net::write_socket_address(where, address));
  net::UniqueFd fd(socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return port_error("socket");
  const int only_v6 = both_families ? 0 : 1;
  if (address.ss_family == AF_INET6)
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return port_error("bind");
  return fd;
}

}  // namespace

Result<net::UniqueFd> open_datagram_port(const net::HostPort& where, std::uint32_t buffer) {
  Result<net::UniqueFd> fd = Error{};
  if (where.host.empty()) {
    fd = bind_datagrams({.port = where.port}, true);
    // A kernel without IPv6 refuses that.
    if (!fd) fd = bind_datagrams({net::IpAddress::v4(0), where.port}, false);
  } else {
    const auto address = net::IpAddress::parse(where.host);
    if (!address) return Error{where.to_string() + ": an address is needed, not a name"};
    fd = bind_datagrams({*address, where.port}, false);
  }
  if (!fd) return Error{where.to_string() + "/udp: " + fd.error().text};
  net::prepare_datagram_port(fd->get(), buffer);
  return fd;
}

std::size_t buffer_size(int port) {
  int size = 0;
  socklen_t length = sizeof size;
  if (getsockopt(port, SOL_SOCKET, SO_RCVBUF, &size, &length) != 0 || size < 0) return 0;
  return static_cast<std::size_t>(size);
}

}  // namespace sidetap::collector
