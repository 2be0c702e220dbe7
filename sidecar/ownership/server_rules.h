// Finds the server of a flow from its ports and addresses alone.
//
// The two taps of a packet call these functions with the ends swapped and must get opposite
// answers.
#pragma once

#include <cstdint>
#include <vector>

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

/// Decides whether `local` is the server. The server is the only end with a port in `server_ports`
/// (ascending), otherwise the end whose peer has the only ephemeral port, otherwise the lower port,
/// otherwise the lower address.
Decision datagram_server(const End& local, const End& remote, const PortRange& ephemeral,
                         const std::vector<std::uint16_t>& server_ports);

/// The same for a TCP flow first seen midway whose local port is not in LISTEN.
Decision midway_server(const End& local, const End& remote, const PortRange& ephemeral);

/// The server is the end with the lower port, or else with the lower address.
Decision lower_end(const End& local, const End& remote);

}  // namespace sidetap::ownership
