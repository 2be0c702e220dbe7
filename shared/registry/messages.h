// The contract between a tap and the registry of taps: who sends what, when, and how much. Pure.
//
// Transport. A tap keeps one WebSocket (RFC 6455) over TLS 1.2 or later to every replica of the
// registry, at kPath. The upgrade request carries the token of the tap's pod in
// "Authorization: Bearer TOKEN". Every message is one text message that holds one JSON object.
//
// A tap sends:
//   {"type":"hello","version":1,"addresses":["10.1.2.3"],"forwarding":false}
//       Its first message, and only its first.
//   {"type":"state","addresses":["10.1.2.3"],"forwarding":true}
//       Whenever its addresses, or whether it forwards, change. Replaces what it said before.
//   {"type":"state","addresses":["10.1.2.3"],"forwarding":false,"ended":true}
//       The last one of a native sidecar: of its pod nothing but the tap runs any more, and that
//       ends now.
//   {"type":"resync"}
//       Asks for a snapshot, after a change that does not continue what the tap knows.
//
// The registry sends, once it has heard hello:
//   {"type":"snapshot","version":7,"taps":["10.1.2.3","10.1.2.4"],"services":["10.96.0.10"]}
//       Everything. Replaces what the tap knows of this replica.
//   {"type":"change","from":7,"version":9,"add":["10.1.2.5"],"remove":[],
//    "add_services":[],"remove_services":["10.96.0.10"]}
//       What makes version `from` into `version`. Where the tap does not have `from` it applies the
//       removals only and asks for a snapshot. A list of Services that is empty may be absent.
//   {"type":"ca","bundle":"-----BEGIN CERTIFICATE-----..."}
//       Who signs the registry's certificates: for the connections to come.
//   {"type":"refused","reason":"the token is not this pod's"}
//       Its last message; then it closes the connection.
//
// Rules for both sides:
//   - Members and types that the receiver does not know are ignored. Of a member that occurs twice
//     the last one counts.
//   - Anything malformed, too long or nested too deeply ends the connection.
//   - Versions belong to one replica, and only grow.
//   - The tap pings; any byte received is a sign of life. After kSilence without one, either side
//     ends the connection.
//   - An address that does not fit into a list is left out: whoever is not named counts as
//     untapped, which costs duplicates and never packets. Removals are never left out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::registry {

inline constexpr std::uint64_t kProtocolVersion = 1;
/// The path of the upgrade request.
inline constexpr std::string_view kPath = "/v1/taps";
inline constexpr std::chrono::milliseconds kSilence{6'000};

// Limits. The sender keeps them, the receiver checks them.

/// Of one tap: a pod has a handful of addresses.
inline constexpr std::size_t kMostTapAddresses = 64;
/// Of one list of the registry, whose replica serves 20,000 taps.
inline constexpr std::size_t kMostListedAddresses = 100'000;
/// Of all lists of one message of the registry.
inline constexpr std::size_t kMostMessageAddresses = 2 * kMostListedAddresses;
inline constexpr std::size_t kMostTapMessageBytes = 16u << 10;
inline constexpr std::size_t kMostRegistryMessageBytes = 9u << 20;
/// Objects and arrays inside each other, the message itself included. These messages need 2.
inline constexpr std::size_t kMostDepth = 128;

/// The longest IPv6 address in quotes, with its comma.
inline constexpr std::size_t kMostAddressBytes = 42;
static_assert(kMostTapAddresses * kMostAddressBytes + 1024 <= kMostTapMessageBytes);
static_assert(kMostMessageAddresses * kMostAddressBytes + 1024 <= kMostRegistryMessageBytes);

using Addresses = std::vector<net::IpAddress>;

// What a tap sends.

/// At most kMostTapAddresses. While the tap forwards: the addresses on which peers may count. While
/// it does not: all of its pod's, since whoever had them before has them no more.
struct State {
  Addresses addresses{};
  bool forwarding = false;
  /// Of the pod nothing but the tap runs any more, and that ends now. Absent on the wire: false.
  bool ended = false;
  friend bool operator==(const State&, const State&) = default;
};
struct Hello {
  State state{};
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Resync {
  friend bool operator==(const Resync&, const Resync&) = default;
};

// What the registry sends.

struct Snapshot {
  std::uint64_t version = 0;
  /// Of the taps that forward.
  Addresses taps{};
  /// Cluster IPs whose backends are all tapped. Nothing: this registry cannot tell.
  std::optional<Addresses> services{};
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};
struct Change {
  std::uint64_t from = 0;
  std::uint64_t version = 0;
  Addresses add{};
  Addresses remove{};
  Addresses add_services{};
  Addresses remove_services{};
  friend bool operator==(const Change&, const Change&) = default;
};
struct CaBundle {
  std::string pem{};
  friend bool operator==(const CaBundle&, const CaBundle&) = default;
};
struct Refused {
  std::string reason{};
  friend bool operator==(const Refused&, const Refused&) = default;
};

/// Of a type that the receiver does not know: to be ignored.
struct Unknown {
  friend bool operator==(const Unknown&, const Unknown&) = default;
};

using TapMessage = std::variant<Hello, State, Resync, Unknown>;
using Message = std::variant<Snapshot, Change, CaBundle, Refused, Unknown>;

}  // namespace sidetap::registry
