// The operator's options for outputs without an RPCAP session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/vni_rule.h"
#include "sidecar/forwarding/vxlan_output.h"

namespace sidetap {

enum class OutputKind : std::uint8_t { kRpcap, kVxlan, kPcap, kPcapOverIp, kInterface };

/// Arkime's for PCAP-over-IP. It has none of its own.
inline constexpr std::uint16_t kPcapOverIpPort = 57012;

struct VxlanOptions {
  std::vector<net::HostPort> receivers{};
  bool every_receiver = true;  ///< False: each gets a share of the flows.
  std::uint32_t mtu = 0;       ///< Bytes of an IP packet to a receiver; 0: the route's.
  forwarding::VniRule vni{};
  forwarding::Oversize oversize = forwarding::Oversize::kTruncate;
  forwarding::Handover handover = forwarding::Handover::kSingly;
};

/// Rotating capture files: the newest overwrite the oldest.
struct FileOptions {
  std::string folder{};
  forwarding::CaptureFormat format = forwarding::CaptureFormat::kPcap;
  std::uint64_t file_bytes = 100U << 20;
  std::uint32_t files = 5;
  std::int64_t file_age_ms = 0;  ///< 0: a file may be of any age.
};

/// A network interface of this pod.
struct InterfaceOptions {
  std::string name{};
};

/// Capture streams over TCP, in the format of the files.
struct StreamOptions {
  std::optional<net::HostPort> listen{};   ///< Where readers connect.
  std::vector<net::HostPort> receivers{};  ///< That are dialled.
  std::vector<net::Cidr> allow{};          ///< Who may connect. Empty: everybody.
  std::uint32_t most_readers = 8;          ///< That are connected at a time.
  std::uint64_t reader_buffer = 4U << 20;  ///< Bytes for each, of what it does not take at once.
};

struct OutputOptions {
  OutputKind kind = OutputKind::kRpcap;
  VxlanOptions vxlan{};           ///< For kVxlan.
  FileOptions files{};            ///< For kPcap.
  StreamOptions streams{};        ///< For kPcapOverIp.
  InterfaceOptions interface {};  ///< For kInterface.
};

}  // namespace sidetap
