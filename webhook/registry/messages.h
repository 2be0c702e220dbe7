// The registry's side of its protocol: JSON texts over a WebSocket. Pure.
//
//   tap -> registry   {"type":"hello","version":1,"addresses":["10.1.2.3"],"forwarding":false}
//                     {"type":"state","addresses":["10.1.2.3"],"forwarding":true}
//                     {"type":"state","addresses":["10.1.2.3"],"forwarding":false,"ended":true}
//                     {"type":"resync"}
//   registry -> tap   {"type":"snapshot","version":7,"taps":["10.1.2.3","10.1.2.4"],
//                      "services":["10.96.0.10"]}
//                     {"type":"change","from":7,"version":8,"add":["10.1.2.5"],"remove":[],
//                      "add_services":[],"remove_services":["10.96.0.10"]}
//                     {"type":"ca","bundle":"-----BEGIN CERTIFICATE-----..."}
//                     {"type":"refused","reason":"..."}, and the end of the connection
//
// "ended": of the tap's pod nothing but the tap runs any more, and that ends now.
// "services" and its changes are there only where the registry watches Services.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/result.h"
#include "webhook/registry/tap_set.h"

namespace sidetap::webhook::registry {

inline constexpr int kProtocolVersion = 1;
/// The path of the upgrade request.
inline constexpr std::string_view kPath = "/v1/taps";
/// Longer messages of a tap are refused.
inline constexpr std::size_t kMostMessageBytes = 16u << 10;
/// A pod has a handful of addresses.
inline constexpr std::size_t kMostAddresses = 64;

/// hello or state: what a tap says of itself.
struct TapState {
  bool hello = false;
  std::vector<net::IpAddress> addresses;
  bool forwarding = false;
  bool ended = false;
};
struct Resync {};
/// Of a type that this registry does not know: to be ignored.
struct Unknown {};
using TapMessage = std::variant<TapState, Resync, Unknown>;

/// Error: no JSON object, a member missing or of the wrong kind, no address, another protocol.
Result<TapMessage> parse_message(std::string_view text);

/// What makes version `from` into version `version`.
struct Delta {
  std::uint64_t from = 0;
  std::uint64_t version = 0;
  AddressChange taps;
  AddressChange services;
};

/// `services`: null where Services are not watched.
std::string snapshot_text(std::uint64_t version, const std::set<net::IpAddress>& taps,
                          const std::set<net::IpAddress>* services);
std::string change_text(const Delta& delta);
std::string ca_text(const std::string& bundle);
std::string refused_text(const std::string& reason);

}  // namespace sidetap::webhook::registry
