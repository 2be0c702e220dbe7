// Finds the server of a flow from its ports and addresses alone.
//
// The two taps of a packet call these functions with the ends swapped and must get opposite
// answers.
#pragma once

#include <cstdint>

#include "shared/net/ip_address.h"
#include "sidecar/ownership/rules.h"

namespace sidetap::ownership {

/// The ports that the system assigns to clients. Both bounds are included.
struct PortRange {
  std::uint16_t first = 32768;
  std::uint16_t last = 60999;
  bool contains(std::uint16_t port) const { return port >= first && port <= last; }
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

struct End {
  net::IpAddress address;
  std::uint16_t port = 0;
};

/// Which ends have a port that is known as a server's.
struct KnownServers {
  bool local = false;
  bool remote = false;
  /// Whether that names the server.
  bool telling() const { return local != remote; }
};

/// The server is the end with the lower port, or else with the lower address.
inline Decision lower_end(const End& local, const End& remote) {
  if (local.port != remote.port) return {local.port < remote.port, Rule::kLowerPort};
  return {local.address < remote.address, Rule::kLowerAddress};
}

/// Decides whether `local` is the server. The server is the only end with a known server's port,
/// otherwise the end whose peer has the only ephemeral port, otherwise the lower port, otherwise
/// the lower address.
inline Decision datagram_server(const End& local, const End& remote, const PortRange& ephemeral,
                                KnownServers known) {
  if (known.telling()) return {known.local, Rule::kServerPort};
  const bool mine = ephemeral.contains(local.port);
  if (mine != ephemeral.contains(remote.port)) return {!mine, Rule::kEphemeralPort};
  return lower_end(local, remote);
}

/// The same for a TCP flow first seen midway, where neither the ports of servers nor a listening
/// socket decide.
inline Decision midway_server(const End& local, const End& remote, const PortRange& ephemeral) {
  if (ephemeral.contains(local.port)) return {false, Rule::kTcpMidway};
  if (ephemeral.contains(remote.port)) return {true, Rule::kTcpMidway};
  return {lower_end(local, remote).owned, Rule::kTcpMidway};
}

}  // namespace sidetap::ownership
