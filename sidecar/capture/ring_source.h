// Captures through a ring that the kernel writes into, and reports for each packet what was left
// for the network card to do. Uses PACKET_RX_RING with TPACKET_V3
// (Documentation/networking/packet_mmap.rst) and PACKET_VNET_HDR (packet(7); struct virtio_net_hdr
// of linux/virtio_net.h). libpcap does not pass on the latter, so with libpcap the tap can only
// guess segment sizes.
#pragma once

#include <memory>

#include "sidecar/capture/link_facts.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/capture/spare_sockets.h"

namespace sidetap::capture {

/// Whether the link is Ethernet and the kernel is Linux 6.2 or newer. Older kernels drop UDP
/// datagrams that await segmentation (UDP GSO) instead of describing them.
bool ring_is_right_for(const LinkFacts& facts);

/// Ethernet links and the loopback interface only. SCTP goes through a small second ring, since no
/// kernel can describe its packets that await segmentation. Takes two sockets of `spares`, and the
/// source gives them back. Errors name the interface and, where it is missing, NET_RAW.
Result<std::unique_ptr<PacketSource>> open_ring(const DeviceConfig& config, const LinkFacts& facts,
                                                std::shared_ptr<SpareSockets> spares);

}  // namespace sidetap::capture
