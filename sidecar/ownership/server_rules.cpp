#include "sidecar/ownership/server_rules.h"

#include <algorithm>

namespace sidetap::ownership {

Decision lower_end(const End& local, const End& remote) {
  if (local.port != remote.port) return {local.port < remote.port, Rule::kLowerPort};
  return {local.address < remote.address, Rule::kLowerAddress};
}

Decision datagram_server(const End& local, const End& remote, const PortRange& ephemeral,
                         const std::vector<std::uint16_t>& server_ports) {
  if (!server_ports.empty()) {
    const auto configured = [&](std::uint16_t port) {
      return std::binary_search(server_ports.begin(), server_ports.end(), port);
    };
    const bool mine = configured(local.port);
    if (mine != configured(remote.port)) return {mine, Rule::kServerPort};
  }
  const bool mine = ephemeral.contains(local.port);
  if (mine != ephemeral.contains(remote.port)) return {!mine, Rule::kEphemeralPort};
  return lower_end(local, remote);
}

Decision midway_server(const End& local, const End& remote, const PortRange& ephemeral) {
  if (ephemeral.contains(local.port)) return {false, Rule::kTcpMidway};
  if (ephemeral.contains(remote.port)) return {true, Rule::kTcpMidway};
  return {lower_end(local, remote).owned, Rule::kTcpMidway};
}

}  // namespace sidetap::ownership
