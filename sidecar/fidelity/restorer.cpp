#include "sidecar/fidelity/restorer.h"

#include <algorithm>
#include <cstring>

#include "sidecar/fidelity/checksum.h"

namespace sidetap::fidelity {
namespace {

using capture::Depth;
using capture::IpProtocol;

constexpr std::uint8_t kTcp = static_cast<std::uint8_t>(IpProtocol::kTcp);
constexpr std::uint8_t kUdp = static_cast<std::uint8_t>(IpProtocol::kUdp);
constexpr std::size_t kUsualMtu = 1500;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kSctpHeader = 12;
constexpr std::size_t kSmallPacket = 128;
constexpr std::size_t kIpv6Header = 40;
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTcpCwr = 0x80;

std::uint32_t get16(std::span<const std::byte> b, std::size_t at) {
  return std::to_integer<std::uint32_t>(b[at]) << 8 | std::to_integer<std::uint32_t>(b[at + 1]);
}
std::uint32_t get32(std::span<const std::byte> b, std::size_t at) {
  return get16(b, at) << 16 | get16(b, at + 2);
}
void put16(std::span<std::byte> b, std::size_t at, std::uint32_t value) {
  b[at] = static_cast<std::byte>(value >> 8);
  b[at + 1] = static_cast<std::byte>(value);
}
void put32(std::span<std::byte> b, std::size_t at, std::uint32_t value) {
  put16(b, at, value >> 16);
  put16(b, at + 2, value);
}

std::uint32_t pieces(std::size_t size, std::uint32_t piece) {
  return static_cast<std::uint32_t>((size + piece - 1) / piece);
}

/// Two overlapping copies, because for the size of headers GCC would use the slow "rep movs".
void copy_headers(std::byte* to, const std::byte* from, std::size_t size) {
  constexpr std::size_t kHalf = 32;
  if (size < kHalf || size > 2 * kHalf) {
    std::copy_n(from, size, to);
    return;
  }
  std::memcpy(to, from, kHalf);
  std::memcpy(to + size - kHalf, from + size - kHalf, kHalf);
}

std::size_t checksum_offset(std::uint8_t protocol) {
  return protocol == kTcp ? 16 : protocol == kUdp ? 6 : 8;
}

/// Whether the packet has the jumbo payload option (RFC 2675), which the kernel adds to BIG TCP
/// packets and which they do not have on the wire: a hop-by-hop header of 8 bytes directly after
/// the IPv6 header.
bool has_jumbo_header(std::span<const std::byte> bytes, std::size_t network) {
  return bytes.size() >= network + kIpv6Header + 8 && get16(bytes, network + 4) == 0 &&
         bytes[network + 6] == std::byte{0} && bytes[network + kIpv6Header + 1] == std::byte{0} &&
         bytes[network + kIpv6Header + 2] == std::byte{0xc2};
}

}  // namespace

/// Offsets of the parts of a packet in the captured bytes.
struct Restorer::Layout {
  std::span<const std::byte> bytes;
  std::size_t network = 0;
  std::size_t transport = 0;
  std::size_t payload = 0;
  std::size_t end = 0;  // of the IP packet; a trailer may follow
  bool v6 = false;
  bool jumbo = false;
  std::uint8_t protocol = 0;
};

bool Restorer::read_layout(const capture::PacketView& view, Layout& layout) const {
  if (view.depth != Depth::kTransport || view.fragment) return false;
  const auto bytes = view.bytes;
  layout.bytes = bytes;
  layout.network = view.network_offset;
  layout.transport = view.transport_offset;
  layout.protocol = view.protocol;
  layout.v6 = std::to_integer<unsigned>(bytes[layout.network]) >> 4 == 6;

  // IPv4 packets of BIG TCP and IPv6 jumbograms have no length in the header.
  const std::size_t fixed = layout.v6 ? kIpv6Header : 20;
  if (bytes.size() < layout.network + fixed || layout.transport < layout.network + fixed)
    return false;
  const std::uint32_t length = get16(bytes, layout.network + (layout.v6 ? 4 : 2));
  layout.end = length == 0 ? bytes.size() : layout.network + (layout.v6 ? kIpv6Header : 0) + length;
  layout.jumbo = layout.v6 && has_jumbo_header(bytes, layout.network);

  std::size_t header = 0;
  if (layout.protocol == kTcp) {
    if (bytes.size() < layout.transport + 20) return false;
    header = (std::to_integer<std::size_t>(bytes[layout.transport + 12]) >> 4) * 4;
    if (header < 20) return false;
  } else if (layout.protocol == kUdp) {
    header = kUdpHeader;
  } else if (layout.protocol == kSctp) {
    header = kSctpHeader;
  } else {
    return false;
  }
  layout.payload = layout.transport + header;
  return layout.payload <= kMaxHeaders && layout.payload <= layout.end &&
         layout.end <= bytes.size();
}

// Returns 0 if the packet is also one packet on the wire.
std::uint32_t Restorer::segment_payload(const Layout& layout,
                                        const capture::CapturedPacket& packet) const {
  if (config_.segment == SegmentMode::kOff) return 0;
  const auto payload = static_cast<std::uint32_t>(layout.end - layout.payload);
  const auto& offload = packet.offload;
  if (offload.known) {
    const bool fits = offload.udp_segments ? layout.protocol == kUdp : layout.protocol == kTcp;
    return fits && offload.segment_size != 0 && offload.segment_size < payload
               ? offload.segment_size
               : 0;
  }
  // The size of UDP segments is unknown, so only TCP can be split by the MTU.
  const std::size_t mtu =
      config_.mtu == 0 && config_.segment == SegmentMode::kOn ? kUsualMtu : config_.mtu;
  if (layout.protocol != kTcp || mtu == 0) return 0;
  const std::size_t headers = layout.payload - layout.network - (layout.jumbo ? 8 : 0);
  if (layout.end - layout.network <= mtu || headers >= mtu) return 0;
  return static_cast<std::uint32_t>(mtu - headers);
}

std::uint32_t Restorer::pseudo_sum(std::uint32_t transport_bytes) const {
  const std::span<const std::byte> head(head_);
  const auto addresses = v6_ ? head.subspan(network_ + 8, 32) : head.subspan(network_ + 12, 8);
  return fold(sum_words(addresses) + protocol_ + (transport_bytes >> 16) +
              (transport_bytes & 0xffff));
}

bool Restorer::checksum_is_partial(const Layout& layout, const capture::Offload& offload) const {
  if (!config_.checksums) return false;
  if (offload.known) return offload.checksum_partial && offload.checksum_start == layout.transport;
  const std::size_t at = layout.transport + checksum_offset(layout.protocol);
  if (layout.protocol == kSctp) return get32(layout.bytes, at) == 0;
  // The kernel stores the pseudo-header's sum there. A complete checksum that happens to have this
  // value is recomputed to the same value.
  const auto bytes = static_cast<std::uint32_t>(layout.end - layout.transport);
  return get16(layout.bytes, at) == pseudo_sum(bytes);
}

std::uint32_t Restorer::begin_unsure(const capture::PacketView& view) {
  const capture::CapturedPacket& packet = *packet_;
  index_ = 0;
  Layout layout;
  if (!read_layout(view, layout)) return 1;

  v6_ = layout.v6;
  protocol_ = layout.protocol;
  network_ = layout.network;
  transport_ = layout.transport;
  head_size_ = layout.payload;
  // Only the addresses are needed to detect a partial checksum; the rest is copied if it is one.
  std::memcpy(head_.data() + network_, layout.bytes.data() + network_, v6_ ? kIpv6Header : 20);
  step_ = segment_payload(layout, packet);
  segmented_ = step_ != 0;
  if (!segmented_ && !checksum_is_partial(layout, packet.offload)) return 1;

  untouched_ = false;
  completed_ = false;
  copy_headers(head_.data(), layout.bytes.data(), head_size_);
  if (layout.jumbo && segmented_) {
    // The header after the hop-by-hop header replaces it.
    const std::size_t behind = network_ + kIpv6Header;
    head_[network_ + 6] = head_[behind];
    std::memmove(head_.data() + behind, head_.data() + behind + 8, head_size_ - behind - 8);
    transport_ -= 8;
    head_size_ -= 8;
  }
  payload_ = layout.bytes.subspan(layout.payload, layout.end - layout.payload);
  trailer_ = segmented_ ? std::span<const std::byte>() : layout.bytes.subspan(layout.end);
  identification_ = static_cast<std::uint16_t>(v6_ ? 0 : get16(head_, network_ + 4));
  zero_checksum_ = protocol_ == kUdp && get16(head_, transport_ + 6) == 0;
  if (protocol_ == kTcp) {
    sequence_ = get32(head_, transport_ + 4);
    tcp_flags_ = std::to_integer<std::uint8_t>(head_[transport_ + 13]);
  }
  at_ = 0;
  if (!segmented_) return 1;
  return pieces(payload_.size(), step_);
}

// Works like the kernel's skb_checksum_help(): the field already holds the sum of what is outside
// the range, for any protocol or tunnel.
void Restorer::complete_checksum(const capture::CapturedPacket& packet) {
  const std::size_t start = packet.offload.checksum_start;
  const std::size_t behind = start + packet.offload.checksum_offset + 2;
  if (behind > packet.bytes.size() || behind > kMaxHeaders) return;
  const std::uint16_t checksum = internet_checksum(packet.bytes.subspan(start));
  // A small packet then needs one copy later instead of two.
  head_size_ = packet.bytes.size() <= kSmallPacket ? packet.bytes.size() : behind;
  copy_headers(head_.data(), packet.bytes.data(), head_size_);
  // RFC 768: zero means no checksum, in UDP only; the field's place says which protocol it is.
  const bool udp = packet.offload.checksum_offset == checksum_offset(kUdp);
  put16(head_, behind - 2, udp && checksum == 0 ? 0xffff : checksum);
  untouched_ = false;
  completed_ = true;
}

std::uint32_t Restorer::count(const capture::PacketView& view,
                              const capture::CapturedPacket& packet) const {
  if (packet.bytes.size() != packet.length) return 1;
  if (packet.offload.known && packet.offload.segment_size == 0) return 1;
  Layout layout;
  if (!read_layout(view, layout)) return 1;
  const std::uint32_t step = segment_payload(layout, packet);
  return step == 0 ? 1 : pieces(layout.end - layout.payload, step);
}

std::span<const std::byte> Restorer::payload_at_hand() const {
  const std::size_t left = payload_.size() - at_;
  return payload_.subspan(at_, segmented_ ? std::min<std::size_t>(step_, left) : left);
}

void Restorer::skip() {
  if (untouched_ || completed_) return;
  at_ += static_cast<std::uint32_t>(payload_at_hand().size());
  ++index_;
}

WirePacket Restorer::next_rewritten() {
  const auto payload = payload_at_hand();
  const auto size = static_cast<std::uint32_t>(payload.size());
  if (segmented_) {
    write_lengths(size);
    write_transport(at_, size, at_ + size == payload_.size());
  }
  write_checksum(payload);
  at_ += size;
  ++index_;
  // Padding directly follows the payload in the capture.
  const std::span<const std::byte> body(payload.data(), payload.size() + trailer_.size());
  return {std::span<const std::byte>(head_).first(head_size_), body,
          static_cast<std::uint32_t>(head_size_ + body.size())};
}

void Restorer::write_lengths(std::uint32_t payload) {
  const auto behind_ip = static_cast<std::uint32_t>(head_size_ - network_) + payload;
  if (v6_) {
    put16(head_, network_ + 4, behind_ip - static_cast<std::uint32_t>(kIpv6Header));
    return;
  }
  put16(head_, network_ + 2, behind_ip);
  put16(head_, network_ + 4, identification_ + index_);
  put16(head_, network_ + 10, 0);
  const std::size_t size = (std::to_integer<std::size_t>(head_[network_]) & 0xf) * 4;
  const auto header = std::span<const std::byte>(head_).subspan(network_, size);
  put16(head_, network_ + 10, internet_checksum(header));
}

void Restorer::write_transport(std::uint32_t offset, std::uint32_t payload, bool last) {
  if (protocol_ == kUdp) {
    put16(head_, transport_ + 4, static_cast<std::uint32_t>(kUdpHeader) + payload);
    return;
  }
  put32(head_, transport_ + 4, sequence_ + offset);
  std::uint8_t flags = tcp_flags_;
  if (!last) flags &= static_cast<std::uint8_t>(~(capture::kTcpFin | kTcpPush));
  if (offset != 0) flags &= static_cast<std::uint8_t>(~kTcpCwr);
  head_[transport_ + 13] = static_cast<std::byte>(flags);
}

void Restorer::write_checksum(std::span<const std::byte> payload) {
  const auto header =
      std::span<const std::byte>(head_).subspan(transport_, head_size_ - transport_);
  const std::size_t at = transport_ + checksum_offset(protocol_);
  if (protocol_ == kSctp) {
    put32(head_, at, 0);
    const std::uint32_t crc = crc32c_end(crc32c_add(crc32c_add(crc32c_begin(), header), payload));
    for (std::size_t i = 0; i < 4; ++i) head_[at + i] = static_cast<std::byte>(crc >> (8 * i));
    return;
  }
  if (zero_checksum_) return;
  put16(head_, at, 0);
  const auto bytes = static_cast<std::uint32_t>(header.size() + payload.size());
  const std::uint16_t sum =
      fold(std::uint64_t{pseudo_sum(bytes)} + sum_words(header) + sum_words(payload));
  const auto checksum = static_cast<std::uint16_t>(~sum);
  // RFC 768: zero means no checksum.
  put16(head_, at, protocol_ == kUdp && checksum == 0 ? 0xffff : checksum);
}

}  // namespace sidetap::fidelity
