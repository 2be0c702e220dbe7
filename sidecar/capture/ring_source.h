// Packets from a ring that the kernel writes into, each with what was left for the network card to
// do: PACKET_RX_RING of TPACKET_V3 (Documentation/networking/packet_mmap.rst) with PACKET_VNET_HDR
// (packet(7); struct virtio_net_hdr of linux/virtio_net.h). libpcap passes on none of the latter,
// so with it segment sizes can only be guessed.
#pragma once

#include <memory>

#include "sidecar/capture/link_facts.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/capture/spare_sockets.h"

namespace sidetap::capture {

/// Ethernet, and Linux 6.2 or newer: older kernels drop UDP datagrams that await segmentation (UDP
/// GSO) instead of describing them.
bool ring_is_right_for(const LinkFacts& facts);

/// Ethernet links only. SCTP goes through a small second ring, since no kernel can describe its
/// packets that await segmentation. Takes two sockets of `spares`, and the source gives them back.
/// Errors name the interface and, where it is missing, NET_RAW.
Result<std::unique_ptr<PacketSource>> open_ring(const DeviceConfig& config, const LinkFacts& facts,
                                                std::shared_ptr<SpareSockets> spares);

}  // namespace sidetap::capture
