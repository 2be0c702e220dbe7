#include "sidecar/packet/packet_view.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sidetap::capture {
namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherArp = 0x0806;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr int kMaxVlanTags = 4;
constexpr int kMaxExtensionHeaders = 16;

/// The caller checks bounds, once for each header.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> data) : data_(data) {}
  bool has(std::size_t offset, std::size_t count) const {
    return offset <= data_.size() && data_.size() - offset >= count;
  }
  std::uint8_t u8(std::size_t at) const { return std::to_integer<std::uint8_t>(data_[at]); }
  std::uint16_t u16(std::size_t at) const { return load<std::uint16_t>(at); }
  std::uint32_t u32(std::size_t at) const { return load<std::uint32_t>(at); }
  std::uint64_t u64(std::size_t at) const { return load<std::uint64_t>(at); }
  net::IpAddress v4(std::size_t at) const { return net::IpAddress::v4(u32(at)); }
  net::IpAddress v6(std::size_t at) const { return net::IpAddress::v6(u64(at), u64(at + 8)); }

 private:
  /// One load and one byte swap; a sum of shifted bytes may compile to several loads.
  template <typename T>
  T load(std::size_t at) const {
    T value;
    std::memcpy(&value, data_.data() + at, sizeof value);
    if constexpr (std::endian::native == std::endian::big) return value;
    if constexpr (sizeof value == 2) return __builtin_bswap16(value);
    if constexpr (sizeof value == 4) return __builtin_bswap32(value);
    if constexpr (sizeof value == 8) return __builtin_bswap64(value);
  }

  std::span<const std::byte> data_;
};

/// The network header, and where the transport header begins. Also used for quoted packets.
struct Network {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint8_t protocol = 0;
  std::size_t transport = 0;
  bool fragment = false;
  bool first_fragment = false;
  std::uint32_t fragment_id = 0;
  bool transport_present = false;  ///< `transport` is where the protocol's header starts.
};

[[gnu::always_inline]] inline bool read_ipv4(const Bytes& b, std::size_t at, Network& n) {
  if (!b.has(at, 20) || b.u8(at) >> 4 != 4) return false;
  const std::size_t length = (b.u8(at) & 0xfU) * 4U;
  n.source = b.v4(at + 12);
  n.destination = b.v4(at + 16);
  n.protocol = b.u8(at + 9);
  const unsigned flags = b.u16(at + 6);
  const bool later = (flags & 0x1fffU) != 0;
  n.fragment = later || (flags & 0x2000U) != 0;
  n.first_fragment = n.fragment && !later;
  n.fragment_id = n.fragment ? b.u16(at + 4) : 0U;
  n.transport_present = length >= 20 && !later;
  n.transport = at + std::max<std::size_t>(length, 20);
  return true;
}

bool is_extension(std::uint8_t header) {
  // Hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6.
  return header == 0 || header == 43 || header == 44 || header == 51 || header == 60 ||
         header == 135 || header == 139 || header == 140;
}

[[gnu::noinline]] bool read_ipv6(const Bytes& b, std::size_t at, Network& n) {
  if (!b.has(at, 40) || b.u8(at) >> 4 != 6) return false;
  n.source = b.v6(at + 8);
  n.destination = b.v6(at + 24);
  n.protocol = b.u8(at + 6);
  n.transport = at + 40;
  for (int i = 0; i < kMaxExtensionHeaders && is_extension(n.protocol); ++i) {
    const std::size_t here = n.transport;
    if (!b.has(here, 8)) return true;
    const std::uint8_t next = b.u8(here);
    std::size_t length = (b.u8(here + 1) + 1U) * 8U;
    if (n.protocol == 51) length = (b.u8(here + 1) + 2U) * 4U;
    if (n.protocol == 44) {
      length = 8;
      const unsigned offset = b.u16(here + 2);
      const bool later = (offset & 0xfff8U) != 0;
      // Offset 0 without more fragments is a whole datagram (RFC 6946).
      n.fragment = later || (offset & 1U) != 0;
      n.first_fragment = n.fragment && !later;
      n.fragment_id = n.fragment ? b.u32(here + 4) : 0;
      if (later) {
        n.protocol = next;
        n.transport = here + length;
        return true;
      }
    }
    n.protocol = next;
    n.transport = here + length;
  }
  n.transport_present = !is_extension(n.protocol);
  return true;
}

bool has_ports(std::uint8_t protocol) {
  switch (static_cast<IpProtocol>(protocol)) {
    case IpProtocol::kTcp:
    case IpProtocol::kUdp:
    case IpProtocol::kDccp:
    case IpProtocol::kSctp:
    case IpProtocol::kUdpLite:
      return true;
    default:
      return false;
  }
}

bool is_icmp(std::uint8_t protocol) {
  return protocol == static_cast<std::uint8_t>(IpProtocol::kIcmp) ||
         protocol == static_cast<std::uint8_t>(IpProtocol::kIcmpV6);
}

bool is_icmp_error(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == static_cast<std::uint8_t>(IpProtocol::kIcmpV6)) return type < 128;
  // Unreachable, source quench, redirect, time exceeded, parameter problem.
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

bool read_network(const Bytes& b, std::size_t at, Network& n) {
  if (!b.has(at, 1)) return false;
  return b.u8(at) >> 4 == 6 ? read_ipv6(b, at, n) : read_ipv4(b, at, n);
}

[[gnu::noinline]] void read_quote(const Bytes& b, std::size_t at, PacketView& view) {
  Network n;
  if (!read_network(b, at, n)) return;
  QuotedFlow& q = view.quote.emplace();
  q.source = n.source;
  q.destination = n.destination;
  q.protocol = n.protocol;
  if (!n.transport_present) return;
  if (has_ports(n.protocol) && b.has(n.transport, 4)) {
    q.has_ports = true;
    q.source_port = b.u16(n.transport);
    q.destination_port = b.u16(n.transport + 2);
  } else if (is_icmp(n.protocol) && b.has(n.transport, 1)) {
    const std::uint8_t type = b.u8(n.transport);
    const bool v6 = n.protocol == static_cast<std::uint8_t>(IpProtocol::kIcmpV6);
    q.echo_request = type == (v6 ? 128 : 8);
    q.is_echo = q.echo_request || type == (v6 ? 129 : 0);
  }
}

[[gnu::always_inline]] inline void read_transport(const Bytes& b, std::size_t at,
                                                  PacketView& view) {
  if (view.protocol == static_cast<std::uint8_t>(IpProtocol::kTcp)) {
    // The flags follow the ports; a TCP header without them decides nothing.
    if (!b.has(at, 14)) return;
    view.tcp_flags = b.u8(at + 13);
  } else if (is_icmp(view.protocol)) {
    if (!b.has(at, 2)) return;
    view.icmp_type = b.u8(at);
    view.icmp_code = b.u8(at + 1);
    view.depth = Depth::kTransport;
    if (is_icmp_error(view.protocol, view.icmp_type)) read_quote(b, at + 8, view);
    return;
  } else if (!has_ports(view.protocol) || !b.has(at, 4)) {
    return;
  }
  view.source_port = b.u16(at);
  view.destination_port = b.u16(at + 2);
  view.depth = Depth::kTransport;
}

[[gnu::always_inline]] inline void take_network(const Bytes& b, std::size_t at, const Network& n,
                                                PacketView& view) {
  view.depth = Depth::kNetwork;
  view.source = n.source;
  view.destination = n.destination;
  view.protocol = n.protocol;
  view.network_offset = static_cast<std::uint16_t>(at);
  view.transport_offset = static_cast<std::uint16_t>(n.transport);
  view.fragment = n.fragment;
  view.first_fragment = n.first_fragment;
  view.fragment_id = n.fragment_id;
  if (n.transport_present) read_transport(b, n.transport, view);
}

/// Uses one Network per family, so that IPv4's is inlined and stays in registers.
void read_ip(const Bytes& b, std::size_t at, PacketView& view) {
  if (!b.has(at, 1)) return;
  if (b.u8(at) >> 4 == 6) {
    Network n;
    if (read_ipv6(b, at, n)) take_network(b, at, n, view);
  } else {
    Network n;
    if (read_ipv4(b, at, n)) take_network(b, at, n, view);
  }
}

void read_arp(const Bytes& b, std::size_t at, PacketView& view) {
  const bool ipv4_over_ethernet = b.has(at, 28) && b.u16(at) == 1 && b.u16(at + 2) == kEtherIpv4 &&
                                  b.u8(at + 4) == 6 && b.u8(at + 5) == 4;
  if (!ipv4_over_ethernet) return;
  view.arp_sender = b.v4(at + 14);
}

bool is_vlan(std::uint16_t type) { return type == 0x8100 || type == 0x88a8 || type == 0x9100; }

/// `at` is just after `type`.
[[gnu::always_inline]] inline void read_ether_payload(const Bytes& b, std::uint16_t type,
                                                      std::size_t at, PacketView& view) {
  for (int i = 0; i < kMaxVlanTags && is_vlan(type) && b.has(at, 4); ++i) {
    type = b.u16(at + 2);
    at += 4;
  }
  view.ether_type = type;
  if (type == kEtherArp) read_arp(b, at, view);
  const bool version_fits = b.has(at, 1) && ((type == kEtherIpv4 && b.u8(at) >> 4 == 4) ||
                                             (type == kEtherIpv6 && b.u8(at) >> 4 == 6));
  if (version_fits) read_ip(b, at, view);
}

void read_ethernet(const Bytes& b, PacketView& view) {
  if (!b.has(0, 14)) return;
  view.depth = Depth::kLink;
  view.has_mac = true;
  std::copy_n(view.bytes.begin(), 6, view.destination_mac.begin());
  std::copy_n(view.bytes.begin() + 6, 6, view.source_mac.begin());
  view.link_group = (b.u8(0) & 1) != 0;
  read_ether_payload(b, b.u16(12), 14, view);
}

void read_cooked_type(std::uint16_t packet_type, PacketView& view) {
  view.direction = packet_type == 4 ? Direction::kOutbound : Direction::kInbound;
  view.link_group = packet_type == 1 || packet_type == 2;
}

void read_sll(const Bytes& b, PacketView& view) {
  if (!b.has(0, 16)) return;
  view.depth = Depth::kLink;
  read_cooked_type(b.u16(0), view);
  read_ether_payload(b, b.u16(14), 16, view);
}

void read_sll2(const Bytes& b, PacketView& view) {
  if (!b.has(0, 20)) return;
  view.depth = Depth::kLink;
  read_cooked_type(b.u8(10), view);
  read_ether_payload(b, b.u16(0), 20, view);
}

}  // namespace

PacketView parse_packet(LinkType link, std::span<const std::byte> bytes) {
  PacketView view(bytes);
  const Bytes b(bytes);
  switch (link) {
    case LinkType::kEthernet:
      read_ethernet(b, view);
      break;
    case LinkType::kLinuxSll:
      read_sll(b, view);
      break;
    case LinkType::kLinuxSll2:
      read_sll2(b, view);
      break;
    case LinkType::kRawIp:
      read_ip(b, 0, view);
      break;
  }
  return view;
}

}  // namespace sidetap::capture
