// The capture socket's filter: keeps packets of no interest out of the process.
//
// It drops only what the ownership engine would decline whatever its state: the tap's own traffic,
// unicast between strangers, and a pod's own packets coming back from a bridge in hairpin mode,
// translated there or not.
// A doubtful packet passes; the engine has the last word.
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
  /// Every address of the pod, link-local ones included. Empty: addresses are not looked at.
  std::vector<net::IpAddress> self;
  std::array<std::byte, 6> mac{};  ///< All zero: none.
  /// The pod's MAC addresses that nobody else on the link has: what comes in from one is an echo.
  std::vector<std::array<std::byte, 6>> senders;
  std::vector<net::IpAddress> broadcasts;  ///< Of the interface's own subnets.
  std::vector<OwnEndpoint> own;            ///< Connections of the tap itself.
  std::vector<net::Cidr> unowned_peers;    ///< Unicast with these is never owned (VIP views).
  std::uint32_t accept_bytes = 262144;     ///< What the program returns for a packet to keep.
};

/// Classic BPF, at most kMaxBpfInstructions. What does not fit is left to the process, own traffic
/// last: `unowned_peers` go first, then strangers. Ethernet and raw IP are filtered; on other link
/// layers everything passes. Uses SKF_AD_PKTTYPE, so it runs in Linux's kernel only.
/// Error: the own endpoints alone do not fit.
Result<std::vector<BpfInstruction>> build_kernel_filter(const FilterConfig& config);

}  // namespace sidetap::capture
