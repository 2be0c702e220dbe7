// Where packets go without an RPCAP session, as an operator sets it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/net/host_port.h"
#include "sidecar/forwarding/vxlan_output.h"

namespace sidetap {

enum class OutputKind : std::uint8_t { kRpcap, kVxlan, kPcap };

struct VxlanOptions {
  std::vector<net::HostPort> receivers{};
  bool every_receiver = true;  ///< Each gets every packet, or each a share of the flows.
  std::uint32_t mtu = 0;       ///< Bytes of an IP packet to a receiver; 0: the route's.
  std::uint32_t vni = 0;
  forwarding::Oversize oversize = forwarding::Oversize::kTruncate;
  forwarding::Handover handover = forwarding::Handover::kSingly;
};

/// Capture files, the oldest of which make room.
struct FileOptions {
  std::string folder{};
  std::uint64_t file_bytes = 100U << 20;
  std::uint32_t files = 5;
};

struct OutputOptions {
  OutputKind kind = OutputKind::kRpcap;
  VxlanOptions vxlan{};  ///< Of kVxlan.
  FileOptions files{};   ///< Of kPcap.
};

}  // namespace sidetap
