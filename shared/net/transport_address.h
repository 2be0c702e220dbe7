// A transport address: an IP address, a transport protocol and a port (RFC 8445, section 4), as one
// ordered value.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/net/ip_address.h"

namespace sidetap::net {

struct TransportAddress {
  IpAddress address;
  std::uint8_t protocol = 0;  ///< IANA number: 6 TCP, 17 UDP, 33 DCCP, 132 SCTP, 136 UDP-Lite.
  std::uint16_t port = 0;

  /// "10.1.2.3:53/udp" or "[fd00::1]:53/udp". The protocol is in lower case. Empty if it has no
  /// name here.
  std::string to_string() const;
  /// Reads what to_string() writes. Nothing: malformed, an unknown protocol, or port 0.
  static std::optional<TransportAddress> parse(std::string_view text);

  friend constexpr auto operator<=>(const TransportAddress&, const TransportAddress&) = default;
  friend constexpr bool operator==(const TransportAddress&, const TransportAddress&) = default;
};

/// Bytes of the longest text, in quotes and with a comma.
inline constexpr std::size_t kMostTransportAddressBytes = 58;

/// The number of "tcp", "udp", "sctp", "dccp" or "udplite", in upper or lower case as Kubernetes
/// writes it. Nothing: another name.
std::optional<std::uint8_t> transport_protocol(std::string_view name);
/// The name in lower case; empty for another number.
std::string_view transport_protocol_name(std::uint8_t protocol);

}  // namespace sidetap::net
