// Builds the filter of the capture socket on the loopback interface, so that only what may be a leg
// of the mesh reaches the process. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/mesh/leg_table.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/packet/bpf.h"

namespace sidetap::mesh {

/// As many connections can be left to the kernel, if the program has room for them.
inline constexpr std::size_t kMostIgnored = 128;
/// Beyond so many ports of the application, the process looks at every port.
inline constexpr std::size_t kMostFilterPorts = 128;

struct LegFilterConfig {
  /// The pod's addresses, without those of the loopback. Dozens at most.
  std::vector<net::IpAddress> self{};
  /// Connections that turned out not to be legs. Their SYNs pass, since the same ends may meet
  /// again.
  std::vector<LegKey> ignored{};
  std::uint32_t accept_bytes = 262'144;  ///< Kept of a packet that passes.
};

/// Accepts one copy of each TCP packet, the incoming one, with a port of the application at a local
/// address. Without a mesh it accepts nothing. Runs in the Linux kernel only, on Ethernet headers.
std::vector<capture::BpfInstruction> build_leg_filter(const Mesh& mesh,
                                                      const LegFilterConfig& config);

}  // namespace sidetap::mesh
