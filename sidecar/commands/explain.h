// `sidetap-sidecar explain`: shows what the ownership rules decide for each packet of a capture
// file.
//
// Uses the engine and the options of a running tap, without a network, to show operators why a
// packet was or was not forwarded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/result.h"
#include "sidecar/options/mesh_options.h"
#include "sidecar/options/ownership_options.h"
#include "sidecar/ownership/server_rules.h"

namespace sidetap {

struct ExplainOptions {
  std::string file;  ///< pcap or pcapng; "-": standard input.
  OwnershipOptions ownership;
  /// The capture is of the loopback interface of a pod in a mesh. --mesh-kind and --mesh-ports tell
  /// which; the rules of ownership do not apply.
  bool loopback = false;
  MeshOptions mesh;
  std::string filter;  ///< The operator's filter expression, checked.
  // A running tap reads these from its namespace.
  std::array<std::byte, 6> mac{};          ///< All zero: unknown.
  std::vector<net::IpAddress> broadcasts;  ///< Of the pod's own IPv4 subnets.
  std::vector<net::IpAddress> gateways;    ///< Next hops: nodes, which are never tapped.
  std::vector<std::uint16_t> listening;    ///< TCP ports in LISTEN; of the application, in a mesh.
  ownership::PortRange ephemeral;          ///< net.ipv4.ip_local_port_range.
  bool json = false;                       ///< One JSON object per line instead of columns.
};

/// Writes one line per packet to `out`, then a summary by rule, where the operator's filter counts
/// as one, and what is assumed where `ownership` leaves something open. Error: the file cannot be
/// read to its end, or packets were skipped. The output then covers what was read.
Result<void> explain(const ExplainOptions& options, std::ostream& out);

/// Runs the command; `arguments` exclude its name. Exit code: 0, 1 if the file cannot be read, 2
/// for wrong arguments.
int explain_command(std::span<const char* const> arguments);

}  // namespace sidetap
