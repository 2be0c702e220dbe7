// Parses the headers of a captured packet without copying it.
//
// The parser reads only headers, never past the captured bytes, and always returns a view: `depth`
// says how far it got. It depends on neither libpcap nor sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "shared/net/ip_address.h"

namespace sidetap::capture {

/// Link layers by their LINKTYPE_ number (https://www.tcpdump.org/linktypes.html).
enum class LinkType : std::uint16_t {
  kEthernet = 1,
  kRawIp = 101,
  kLinuxSll = 113,
  kLinuxSll2 = 276,
};

/// The direction in which a packet passed the interface, if the link layer says so (Linux cooked
/// does).
enum class Direction : std::uint8_t { kUnknown, kInbound, kOutbound };

/// IANA protocol numbers.
enum class IpProtocol : std::uint8_t {
  kIcmp = 1,
  kTcp = 6,
  kUdp = 17,
  kDccp = 33,
  kIcmpV6 = 58,
  kSctp = 132,
  kUdpLite = 136,
};

/// How much of the packet was understood.
enum class Depth : std::uint8_t {
  kNothing,    ///< Not even the link layer.
  kLink,       ///< Link layer; its payload is not IP or is incomplete.
  kNetwork,    ///< Addresses and protocol; no usable transport header (later fragment, truncated,
               ///< other protocol).
  kTransport,  ///< Ports, or ICMP type and code.
};

/// The flow quoted in an ICMP error (RFC 792, RFC 4443).
struct QuotedFlow {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint8_t protocol = 0;
  bool has_ports = false;
  bool is_echo = false;  ///< The quoted packet is an ICMP echo; `echo_request` says which.
  bool echo_request = false;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

/// Offsets are from the start of the captured bytes; integers in host order.
struct PacketView {
  std::span<const std::byte> bytes;  ///< As captured; valid as long as the caller's buffer.
  Depth depth = Depth::kNothing;
  Direction direction = Direction::kUnknown;
  std::uint16_t ether_type = 0;  ///< Innermost, after VLAN tags; 0 when there is none.
  bool has_mac = false;
  bool link_group = false;  ///< The link-layer destination is a multicast or broadcast address.
  std::array<std::byte, 6> source_mac{};
  std::array<std::byte, 6> destination_mac{};

  // From Depth::kNetwork on.
  net::IpAddress source;
  net::IpAddress destination;
  std::uint8_t protocol = 0;         ///< Of the first header that is not an IPv6 extension header.
  std::uint16_t network_offset = 0;  ///< Of the IP header.
  std::uint16_t transport_offset = 0;
  bool fragment = false;        ///< Part of a fragmented datagram.
  bool first_fragment = false;  ///< Its first part (offset 0, more to come).
  std::uint32_t fragment_id = 0;

  // From Depth::kTransport on.
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t tcp_flags = 0;  ///< As in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16.
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  std::optional<QuotedFlow> quote;  ///< For an ICMP error, if it could be read.

  std::optional<net::IpAddress> arp_sender;  ///< RFC 826, IPv4 over Ethernet; at Depth::kLink.

  PacketView() = default;
  explicit PacketView(std::span<const std::byte> captured) : bytes(captured) {}

  bool is_ip() const { return depth >= Depth::kNetwork; }
};

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpAck = 0x10;

/// Parses `bytes`, the captured part of one packet. Never fails and never reads out of bounds.
/// Supports stacks of up to four VLAN tags, and a bounded number of IPv6 extension headers.
PacketView parse_packet(LinkType link, std::span<const std::byte> bytes);

}  // namespace sidetap::capture
