// The operator's options for outputs without an RPCAP session.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/net/host_port.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/vxlan_output.h"

namespace sidetap {

enum class OutputKind : std::uint8_t { kRpcap, kVxlan, kPcap };

struct VxlanOptions {
  std::vector<net::HostPort> receivers{};
  bool every_receiver = true;  ///< False: each gets a share of the flows.
  std::uint32_t mtu = 0;       ///< Bytes of an IP packet to a receiver; 0: the route's.
  std::uint32_t vni = 0;
  forwarding::Oversize oversize = forwarding::Oversize::kTruncate;
  forwarding::Handover handover = forwarding::Handover::kSingly;
};

/// Rotating capture files: the newest overwrite the oldest.
struct FileOptions {
  std::string folder{};
  forwarding::CaptureFormat format = forwarding::CaptureFormat::kPcap;
  std::uint64_t file_bytes = 100U << 20;
  std::uint32_t files = 5;
};

struct OutputOptions {
  OutputKind kind = OutputKind::kRpcap;
  VxlanOptions vxlan{};  ///< For kVxlan.
  FileOptions files{};   ///< For kPcap.
};

}  // namespace sidetap
