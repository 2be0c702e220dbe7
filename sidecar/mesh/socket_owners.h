// What the packet path asks about the TCP sockets of the pod's network namespace.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/result.h"

namespace sidetap::mesh {

/// A TCP socket in LISTEN.
struct Listener {
  net::IpAddress address;  ///< Unspecified: every address.
  std::uint16_t port = 0;
  std::uint32_t user = 0;  ///< Numeric user that opened it, as this user namespace sees it.
  friend bool operator==(const Listener&, const Listener&) = default;
};

/// A connection as the socket of one end sees it.
struct SocketEnds {
  net::IpAddress local;
  std::uint16_t local_port = 0;
  net::IpAddress remote;
  std::uint16_t remote_port = 0;
};

/// For one thread.
class SocketOwners {
 public:
  virtual ~SocketOwners() = default;

  virtual Result<std::vector<Listener>> listeners() = 0;
  /// The user of the socket at the local end. Nothing: there is no such socket in this namespace,
  /// or it is closed so far that the kernel no longer knows its user.
  virtual std::optional<std::uint32_t> owner_of(const SocketEnds& ends) = 0;
  /// The same without a user: the socket may be closed, or not accepted yet.
  virtual bool has_socket(const SocketEnds& ends) = 0;
};

}  // namespace sidetap::mesh
