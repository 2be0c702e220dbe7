// `sidetap-sidecar explain`: what the ownership rules say about each packet of a capture file.
//
// The same engine and the same options as a running tap, without a network: for operators who ask
// why a packet was forwarded or was not.
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
#include "sidecar/options/ownership_options.h"
#include "sidecar/ownership/server_rules.h"

namespace sidetap {

struct ExplainOptions {
  std::string file;  ///< pcap or pcapng; "-": standard input.
  OwnershipOptions ownership;
  // What a running tap learns from its namespace.
  std::array<std::byte, 6> mac{};          ///< All zero: not known.
  std::vector<net::IpAddress> broadcasts;  ///< Of the pod's own IPv4 subnets.
  std::vector<net::IpAddress> gateways;    ///< Next hops: nodes, which are never tapped.
  std::vector<std::uint16_t> listening;    ///< TCP ports in LISTEN.
  ownership::PortRange ephemeral;          ///< net.ipv4.ip_local_port_range.
  bool json = false;                       ///< One JSON object a line instead of columns.
};

/// Packet by packet to `out`, then a summary by rule. Error: the file cannot be read to its end, or
/// packets in it were left out; what was read is written and summed up.
Result<void> explain(const ExplainOptions& options, std::ostream& out);

/// The command; arguments without its name. Exit code 0, 1 (the file cannot be read) or 2 (wrong
/// use).
int explain_command(std::span<const char* const> arguments);

}  // namespace sidetap
