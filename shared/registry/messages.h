// The protocol between a tap and the registry of taps: messages, their order and their limits.
// Pure.
//
// Transport. A tap keeps one WebSocket (RFC 6455) over TLS 1.2 or later to every replica of the
// registry, at kPath. The upgrade request carries the token of the tap's pod in
// "Authorization: Bearer TOKEN". Every message is one text message that holds one JSON object.
//
// A tap sends:
//   {"type":"hello","version":1,"addresses":["10.1.2.3"],"forwarding":false}
//       Its first message, and only the first.
//   {"type":"state","addresses":["10.1.2.3"],"forwarding":true}
//       When its addresses change, or it starts or stops forwarding. Replaces its previous state.
//   {"type":"state","addresses":["10.1.2.3"],"forwarding":false,"ended":true}
//       The last message of a native sidecar: of its pod, only the tap still runs, and it ends now.
//   {"type":"resync"}
//       Requests a snapshot, after a change that does not follow the version that the tap has.
//
// The registry sends, after it has received hello:
//   {"type":"snapshot","version":7,"taps":["10.1.2.3","10.1.2.4"],"services":["10.96.0.10"]}
//       The complete lists. Replaces what the tap knows from this replica.
//   {"type":"change","from":7,"version":9,"add":["10.1.2.5"],"remove":[],
//    "add_services":[],"remove_services":["10.96.0.10"]}
//       The difference between version `from` and `version`. A tap that does not have `from`
//       applies only the removals and requests a snapshot. An empty list of Services may be absent.
//   {"type":"ca","bundle":"-----BEGIN CERTIFICATE-----..."}
//       The CAs of the registry's certificates, for future connections.
//   {"type":"refused","reason":"the token is not this pod's"}
//       Its last message; then it closes the connection.
//
// Rules for both sides:
//   - Unknown members and types are ignored. If a member occurs twice, the last one counts.
//   - A message that is malformed, too long or nested too deeply ends the connection.
//   - Versions belong to one replica and only increase.
//   - The tap sends pings. Any byte received is a sign of life. Either side ends the connection
//     after kSilence without one.
//   - An address that does not fit into a list is left out. A peer that is not listed counts as
//     untapped, which may duplicate packets but never loses one. Removals are never left out.
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

// Limits. The sender observes them, and the receiver checks them.

/// Addresses of one tap. A pod has few.
inline constexpr std::size_t kMostTapAddresses = 64;
/// Addresses in one list of the registry. A replica serves 20,000 taps.
inline constexpr std::size_t kMostListedAddresses = 100'000;
/// Addresses in all lists of one registry message together.
inline constexpr std::size_t kMostMessageAddresses = 2 * kMostListedAddresses;
inline constexpr std::size_t kMostTapMessageBytes = 16u << 10;
inline constexpr std::size_t kMostRegistryMessageBytes = 9u << 20;
/// Levels of nested objects and arrays, including the message itself. These messages need 2.
inline constexpr std::size_t kMostDepth = 128;

/// The longest IPv6 address in quotes, with its comma.
inline constexpr std::size_t kMostAddressBytes = 42;
static_assert(kMostTapAddresses * kMostAddressBytes + 1024 <= kMostTapMessageBytes);
static_assert(kMostMessageAddresses * kMostAddressBytes + 1024 <= kMostRegistryMessageBytes);

using Addresses = std::vector<net::IpAddress>;

// What a tap sends.

/// At most kMostTapAddresses. While the tap forwards: the addresses for which peers may rely on it.
/// While it does not: all addresses of its pod, because their previous holder no longer has them.
struct State {
  Addresses addresses{};
  bool forwarding = false;
  /// Of the pod, only the tap still runs, and it ends now. Absent on the wire means false.
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
  /// Addresses of the taps that forward.
  Addresses taps{};
  /// Cluster IPs whose backends are all tapped. Nothing: this registry does not know them.
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

/// A message of an unknown type. Ignore it.
struct Unknown {
  friend bool operator==(const Unknown&, const Unknown&) = default;
};

using TapMessage = std::variant<Hello, State, Resync, Unknown>;
using Message = std::variant<Snapshot, Change, CaBundle, Refused, Unknown>;

}  // namespace sidetap::registry
