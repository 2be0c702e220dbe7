// What a tap and the registry say to each other: JSON texts over a WebSocket. Pure.
//
//   tap -> registry   {"type":"hello","version":1,"addresses":["10.1.2.3"],"forwarding":false}
//                     {"type":"state","addresses":["10.1.2.3"],"forwarding":true}
//                     {"type":"state","addresses":["10.1.2.3"],"forwarding":false,"ended":true}
//                     {"type":"resync"}
//   registry -> tap   {"type":"snapshot","version":7,"taps":["10.1.2.3","10.1.2.4"],
//                      "services":["10.96.0.10"]}
//                     {"type":"change","from":7,"version":9,"add":["10.1.2.5"],"remove":[],
//                      "add_services":[],"remove_services":["10.96.0.10"]}
//                     {"type":"ca","bundle":"-----BEGIN CERTIFICATE-----..."}
//                     {"type":"refused","reason":"the token is not this pod's"}
//
// "ended": of the tap's pod nothing but the tap runs any more, and that ends now. "taps" are the
// addresses of the taps whose sessions carry data; "services" those of the Services that have
// tapped backends only, where the registry knows. Versions count within one connection's replica.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/result.h"

namespace sidetap::registry {

inline constexpr int kProtocolVersion = 1;
/// The path of the upgrade request.
inline constexpr std::string_view kPath = "/v1/taps";
/// Longer messages are refused: 50,000 IPv6 addresses fit.
inline constexpr std::size_t kMostMessageBytes = 4u << 20;
/// Longer lists of addresses are refused.
inline constexpr std::size_t kMostAddresses = 100'000;

struct Snapshot {
  std::uint64_t version = 0;
  std::vector<net::IpAddress> taps;
  std::optional<std::vector<net::IpAddress>> services{};  ///< Nothing: this registry cannot tell.
};
struct Change {
  std::uint64_t from = 0;  ///< The version that it builds upon.
  std::uint64_t version = 0;
  std::vector<net::IpAddress> add;
  std::vector<net::IpAddress> remove;
  std::vector<net::IpAddress> add_services{};
  std::vector<net::IpAddress> remove_services{};
};
/// Who signs the registry's certificates from now on.
struct CaBundle {
  std::string pem;
};
struct Refused {
  std::string reason;
};
/// Of a type that this tap does not know: to be ignored.
struct Unknown {};

using Message = std::variant<Snapshot, Change, CaBundle, Refused, Unknown>;

/// Error: no JSON object, a member missing or of the wrong kind, no address.
Result<Message> parse_message(std::string_view text);

std::string hello_text(std::span<const net::IpAddress> addresses, bool forwarding,
                       bool ended = false);
std::string state_text(std::span<const net::IpAddress> addresses, bool forwarding,
                       bool ended = false);
std::string resync_text();

}  // namespace sidetap::registry
