// Sends packets to a sensor in VXLAN (RFC 7348), which Suricata, Zeek and others accept.
//
// There is no session, so the sensor sends nothing back. A receiver that sniffs binds no port, so
// its kernel answers with ICMP errors. They cost no packet and do not end the output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/datagram_sender.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::forwarding {

inline constexpr std::size_t kVxlanHeaderSize = 8;

enum class Oversize : std::uint8_t {
  kTruncate,  ///< Cut packets to fit the path. The inner headers hold the true length.
  kDrop,      ///< Drop and count packets that do not fit.
};

struct VxlanConfig {
  std::uint32_t vni = 0;             ///< 24 bits.
  std::size_t datagram_size = 1472;  ///< UDP payload that fits the path, bytes.
  Oversize oversize = Oversize::kTruncate;
  capture::LinkType link = capture::LinkType::kEthernet;  ///< Raw IP gets an Ethernet header.
  /// Segments spare system calls, but one that sniffs on the way or on the same node gets many
  /// frames as one datagram, of which it reads the first at best.
  Handover handover = Handover::kSingly;
  /// For packets of a collector's taps, which have an origin (OutgoingPacket::origin): their VNI in
  /// place of `vni`. Called on the packet path, once for each origin, so it may take a while. Null:
  /// all packets have `vni`.
  std::function<std::uint32_t(std::uint32_t origin)> vni_of{};
};

/// `sockets`: connected, non-blocking, each with another source port. Both directions of a flow
/// take the same, so that a receiver can spread flows over its queues.
std::unique_ptr<Output> make_vxlan_output(std::vector<net::UniqueFd> sockets, VxlanConfig config);

}  // namespace sidetap::forwarding
