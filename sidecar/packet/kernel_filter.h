// Builds the capture socket's filter, which keeps irrelevant packets out of the process.
//
// It drops only what the ownership engine would decline in any state: the tap's own traffic,
// unicast between strangers, and the pod's own packets that a bridge in hairpin mode returns,
// translated or not. A doubtful packet passes; the engine decides. In front of all that stands what
// the operator's filter refuses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/result.h"
#include "sidecar/packet/bpf.h"
#include "sidecar/packet/own_endpoint.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

struct FilterConfig {
  LinkType link = LinkType::kEthernet;
  /// The operator's filter as as_kernel_sees() gives it: only what it accepts can pass. Empty: all.
  std::vector<BpfInstruction> front{};
  /// Every address of the pod, including link-local ones. Empty: addresses are not checked.
  std::vector<net::IpAddress> self;
  std::array<std::byte, 6> mac{};  ///< All zero: none.
  /// The pod's MAC addresses that nobody else on the link uses: an incoming packet from one is an
  /// echo.
  std::vector<std::array<std::byte, 6>> senders;
  std::vector<net::IpAddress> broadcasts;  ///< Of the interface's own subnets.
  std::vector<OwnEndpoint> own;            ///< Connections of the tap itself.
  std::vector<net::Cidr> unowned_peers;    ///< TCP and UDP with these is never owned (VIP views).
  std::uint32_t accept_bytes = 262144;     ///< What the program returns for a packet to keep.
};

/// Returns classic BPF of at most kMaxBpfInstructions. If not everything fits, the filter first
/// omits `unowned_peers`, then strangers; the process drops those. `front` is never omitted.
/// Filters Ethernet and raw IP; on other link layers, everything passes that `front` accepts. Uses
/// SKF_AD_PKTTYPE, so it runs only in the Linux kernel. Error: the own endpoints alone do not fit
/// behind `front`.
Result<std::vector<BpfInstruction>> build_kernel_filter(const FilterConfig& config);

}  // namespace sidetap::capture
