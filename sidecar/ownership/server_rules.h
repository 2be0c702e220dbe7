// Who is the server of a flow, told from its ports and addresses alone.
//
// Both taps of a packet call these with the ends swapped and must get opposite answers.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/ownership/rules.h"

namespace sidetap::ownership {

/// Ports the system gives to clients, both ends included.
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

/// Whether `local` is the server: the one port in `server_ports` (ascending), else the end whose
/// peer has the one ephemeral port, else the lower port, else the lower address.
Decision datagram_server(const End& local, const End& remote, const PortRange& ephemeral,
                         const std::vector<std::uint16_t>& server_ports);

/// The same for a TCP flow first seen midway whose local port is not in LISTEN.
Decision midway_server(const End& local, const End& remote, const PortRange& ephemeral);

/// Lower port, then lower address.
Decision lower_end(const End& local, const End& remote);

}  // namespace sidetap::ownership
