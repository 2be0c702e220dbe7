// What the types of ICMP and ICMPv6 messages mean for ownership.
#pragma once

#include <cstdint>

#include "sidecar/packet/packet_view.h"

namespace sidetap::ownership {

inline constexpr auto kIcmp = static_cast<std::uint8_t>(capture::IpProtocol::kIcmp);
inline constexpr auto kIcmpV6 = static_cast<std::uint8_t>(capture::IpProtocol::kIcmpV6);
inline constexpr std::uint8_t kRouterAdvertisement = 134;

inline bool is_icmp(std::uint8_t protocol) { return protocol == kIcmp || protocol == kIcmpV6; }

/// Router and neighbour solicitation and advertisement, redirect (RFC 4861).
inline bool is_neighbour_discovery(const capture::PacketView& p) {
  return p.depth == capture::Depth::kTransport && p.protocol == kIcmpV6 && p.icmp_type >= 133 &&
         p.icmp_type <= 137;
}

enum class Asked : std::uint8_t { kNobody, kDestination, kSource };

/// For queries with answers (echo, timestamp, information, address mask, node information), says
/// which end is asked.
inline Asked who_is_asked(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == kIcmp) {
    if (type == 8 || type == 13 || type == 15 || type == 17) return Asked::kDestination;
    if (type == 0 || type == 14 || type == 16 || type == 18) return Asked::kSource;
  } else {
    if (type == 128 || type == 139) return Asked::kDestination;
    if (type == 129 || type == 140) return Asked::kSource;
  }
  return Asked::kNobody;
}

inline bool is_icmp_error(std::uint8_t protocol, std::uint8_t type) {
  if (protocol == kIcmpV6) return type < 128;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

}  // namespace sidetap::ownership
