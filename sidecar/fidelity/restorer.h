// Restores the form that packets had on the wire.
//
// A tap captures packets before the network card completes them: without transport checksums, and
// far larger than the MTU, because the card splits them into segments (TSO, UDP GSO). Sensors drop
// or misread both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sidecar/packet/captured_packet.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::fidelity {

enum class SegmentMode : std::uint8_t {
  kOff,   ///< Large packets stay as they are.
  kAuto,  ///< Split packets that are longer than the interface's MTU.
  kOn,    ///< The same, but with an MTU of 1500 bytes if none is known.
};

struct RestorerConfig {
  bool checksums = true;
  SegmentMode segment = SegmentMode::kAuto;
  std::uint32_t mtu = 1500;  ///< Of the interface: bytes of an IP packet. 0: not known.
};

/// A packet as it was on the wire: rewritten headers, then unchanged bytes of the capture.
struct WirePacket {
  std::span<const std::byte> head;  ///< Valid until the next call.
  std::span<const std::byte> body;
  std::uint32_t length = 0;  ///< Bytes on the wire.
};

/// For one thread. Allocates nothing and reads only the captured bytes. Passes on packets unchanged
/// that it does not understand or that a snaplen has cut.
class Restorer {
 public:
  explicit Restorer(RestorerConfig config) : config_(config) {}

  /// Starts with a packet and returns the number of packets that it was on the wire, at least one.
  /// `view` must be of the same bytes.
  std::uint32_t begin(const capture::PacketView& view, const capture::CapturedPacket& packet) {
    packet_ = &packet;
    untouched_ = true;
    if (packet.bytes.size() != packet.length) return 1;
    // Most packets left as one, and the kernel says so.
    const capture::Offload& offload = packet.offload;
    if (!offload.known || offload.segment_size != 0 || view.protocol == kSctp)
      return begin_unsure(view);
    if (offload.checksum_partial && config_.checksums) complete_checksum(packet);
    return 1;
  }
  /// The next packet on the wire, in order. Call this or skip() as often as begin() returned.
  WirePacket next() {
    if (untouched_) return {{}, packet_->bytes, packet_->length};
    if (completed_) {
      return {std::span(head_).first(head_size_), packet_->bytes.subspan(head_size_),
              packet_->length};
    }
    return next_rewritten();
  }
  /// Skips the next packet at almost no cost.
  void skip();
  /// Returns what begin() would return, without its other effects.
  std::uint32_t count(const capture::PacketView& view, const capture::CapturedPacket& packet) const;

  void set_mtu(std::uint32_t mtu) { config_.mtu = mtu; }

 private:
  struct Layout;
  static constexpr std::uint8_t kSctp = static_cast<std::uint8_t>(capture::IpProtocol::kSctp);
  std::uint32_t begin_unsure(const capture::PacketView& view);
  WirePacket next_rewritten();
  bool read_layout(const capture::PacketView& view, Layout& layout) const;
  std::uint32_t segment_payload(const Layout& layout, const capture::CapturedPacket& packet) const;
  bool checksum_is_partial(const Layout& layout, const capture::Offload& offload) const;
  void complete_checksum(const capture::CapturedPacket& packet);
  std::uint32_t pseudo_sum(std::uint32_t transport_bytes) const;
  std::span<const std::byte> payload_at_hand() const;
  void write_lengths(std::uint32_t payload);
  void write_transport(std::uint32_t offset, std::uint32_t payload, bool last);
  void write_checksum(std::span<const std::byte> payload);

  // Enough for a link layer with VLAN tags, either IP header with extensions, and TCP with options.
  static constexpr std::size_t kMaxHeaders = 512;

  RestorerConfig config_;
  std::array<std::byte, kMaxHeaders> head_;
  const capture::CapturedPacket* packet_ = nullptr;
  bool untouched_ = true;
  bool v6_ = false;
  bool segmented_ = false;
  bool completed_ = false;      // one packet, whose checksum is in head_
  bool zero_checksum_ = false;  // UDP without a checksum stays so
  std::uint8_t protocol_ = 0;
  std::size_t network_ = 0;  // offsets in head_
  std::size_t transport_ = 0;
  std::size_t head_size_ = 0;
  std::uint16_t identification_ = 0;
  std::uint32_t sequence_ = 0;
  std::uint8_t tcp_flags_ = 0;
  std::span<const std::byte> payload_;  // all of it
  std::span<const std::byte> trailer_;  // link-layer padding after the IP packet
  std::uint32_t step_ = 0;              // payload bytes of a segment
  std::uint32_t at_ = 0;                // payload bytes done
  std::uint32_t index_ = 0;
};

}  // namespace sidetap::fidelity
