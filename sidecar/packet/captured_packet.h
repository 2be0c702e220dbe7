// A packet as a source hands it over: its bytes, and metadata from the capture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

/// What the kernel left for the network card to do, which a tap therefore sees undone (struct
/// virtio_net_hdr of linux/virtio_net.h). Offsets are from the start of the packet's bytes.
struct Offload {
  bool known = false;                ///< The source knows. Otherwise the other members are invalid.
  bool checksum_partial = false;     ///< The transport checksum holds only the pseudo-header's sum.
  std::uint16_t checksum_start = 0;  ///< First byte that the checksum covers.
  std::uint16_t checksum_offset = 0;  ///< Of the checksum field, from `checksum_start`.
  std::uint16_t segment_size = 0;     ///< Payload bytes of each segment on the wire; 0: one packet.
  bool udp_segments = false;          ///< Segments are UDP datagrams, otherwise TCP segments.
};

struct CapturedPacket {
  std::span<const std::byte> bytes;  ///< As captured; valid during the call.
  /// The same bytes, if nobody but the handler reads them after the call. Empty: they must stay.
  std::span<std::byte> writable{};
  std::uint32_t length = 0;   ///< Bytes on the wire, at least bytes.size().
  std::uint32_t seconds = 0;  ///< Since 1970.
  std::uint32_t nanoseconds = 0;
  Direction direction = Direction::kUnknown;  ///< If the source knows it.
  Offload offload;
  std::uint32_t origin = 0;  ///< The number of the tap that has forwarded it; 0: this one.
};

class PacketHandler {
 public:
  virtual ~PacketHandler() = default;
  virtual void on_packet(const CapturedPacket& packet) = 0;
};

}  // namespace sidetap::capture
