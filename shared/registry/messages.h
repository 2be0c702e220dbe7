// The protocol between a tap and the registry of taps: messages, their order and their limits.
// Pure.
//
// Transport. A tap keeps one WebSocket (RFC 6455) over TLS 1.2 or later to every replica of the
// registry, at kPath. The upgrade request carries the token of the tap's pod in
// "Authorization: Bearer TOKEN". Every message is one text message that holds one JSON object.
//
// A tap sends:
//   {"type":"hello","version":1,"rules":2,"addresses":["10.1.2.3"],"forwarding":false}
//       Its first message, and only the first. "rules" is the newest set of ownership rules that
//       the tap applies (see kRules); absent means 1. A tap that takes orders adds
//       "control":["sensors","filter"] (see tap::kControls) and, if its pod's annotation names one,
//       "profile":"edge".
//   {"type":"state","addresses":["10.1.2.3"],"forwarding":true}
//       When its addresses change, or it starts or stops forwarding. Replaces its previous state.
//   {"type":"state","addresses":["10.1.2.3"],"forwarding":false,"ended":true}
//       The last message of a native sidecar: of its pod, only the tap still runs, and it ends now.
//   {"type":"resync"}
//       Requests a snapshot, after a change that does not follow the version that the tap has.
//   {"type":"report","release":"1.2.0","profile":"edge","generation":7,"following":true,
//    "interfaces":[{"name":"eth0","capturing":true}],
//    "sensors":[{"sensor":"192.0.2.9:2003","state":"capturing","reason":""}],
//    "counts":{"seen":9,"seen_bytes":900,"owned":5,"owned_bytes":500,"forwarded":5,
//              "forwarded_bytes":540,"filtered":0},"lost":{"kernel-ring":0,"no-session":0},
//    "mesh":{"kind":"istio","read":9,"legs":8,"covered":5}}
//       After hello, every kReportInterval, and at most once a second when something but a count
//       changes. See Report. Counts are totals since the tap's start. "mesh" is absent unless the
//       plaintext of a service mesh is wanted.
//
// The registry sends, after it has received hello:
//   {"type":"snapshot","version":7,"taps":["10.1.2.3","10.1.2.4"],"older":["10.1.2.4"],
//    "services":["10.96.0.10"],"nodes":["172.18.0.2"],"client_owned":["10.1.2.4:8080/tcp"],
//    "server_ports":["0.0.0.0:8080/tcp"],"front_ends":["203.0.113.7:80/tcp","0.0.0.0:30080/tcp"]}
//       The complete lists. Replaces what the tap knows from this replica. See Lists for their
//       meaning. A registry that applies rules 1 sends neither "older" nor the lists behind
//       "services".
//   {"type":"change","from":7,"version":9,"add":["10.1.2.5"],"remove":[],
//    "add_services":[],"remove_services":["10.96.0.10"],"add_client_owned":["10.1.2.4:8080/tcp"]}
//       The difference between version `from` and `version`. "add" and "remove" are of "taps"; each
//       other list NAME has "add_NAME" and "remove_NAME", absent if empty. A tap that does not have
//       `from` applies only what makes it own more packets, and requests a snapshot.
//   {"type":"settings","generation":7,"profile":"edge","values":{"SENSOR":"192.0.2.9:2003"}}
//       The settings of the tap's profile, as its environment would hold them if its pod started
//       now, and again when they change. Only to a tap that takes orders. See Settings.
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
//   - What does not fit into a list is left out, the same for every tap. A peer that is not listed
//     counts as untapped, and a Service as one with untapped backends, which may duplicate packets
//     but never loses one. Removals are never left out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/net/transport_address.h"

namespace sidetap::registry {

inline constexpr std::uint64_t kProtocolVersion = 1;
/// The path of the upgrade request.
inline constexpr std::string_view kPath = "/v1/taps";
inline constexpr std::chrono::milliseconds kSilence{6'000};

/// Sets of ownership rules. 1: peers and Services. 2: also partly tapped Services (`client_owned`),
/// ports of servers and front ends. Two taps must apply the same rules to a packet between them, so
/// a tap applies rules 1 to a peer in `older`.
inline constexpr std::uint64_t kRules = 2;

// Limits. The sender observes them, and the receiver checks them.

/// Addresses of one tap. A pod has few.
inline constexpr std::size_t kMostTapAddresses = 64;
/// Items of `taps`, `older`, `services`, `client_owned` and `front_ends`, each. A replica serves
/// 20,000 taps.
inline constexpr std::size_t kMostListedAddresses = 100'000;
/// Items of `nodes` and of `server_ports`.
inline constexpr std::size_t kMostNodes = 20'000;
inline constexpr std::size_t kMostServerPorts = 20'000;
/// Items of all lists of one registry message together. A snapshot with more leaves out
/// `front_ends`, then `client_owned`, then `services`, each as a whole.
inline constexpr std::size_t kMostMessageItems = 300'000;
inline constexpr std::size_t kMostTapMessageBytes = 16u << 10;
/// Names in `control` of a hello, and values of settings.
inline constexpr std::size_t kMostControls = 32;
/// Bytes of one name in `control`; longer ones are left out.
inline constexpr std::size_t kMostControlBytes = 32;
inline constexpr std::size_t kMostSettings = 64;
/// Bytes of one value of settings.
inline constexpr std::size_t kMostSettingBytes = 8u << 10;
// Of a report. The sender cuts what is longer; the receiver leaves out what is more.
inline constexpr std::size_t kMostReportedInterfaces = 16;
inline constexpr std::size_t kMostReportedSensors = 20;
inline constexpr std::size_t kMostReportedCauses = 32;
/// Bytes of one text of a report, and of a profile's name.
inline constexpr std::size_t kMostReportedText = 253;
inline constexpr std::chrono::milliseconds kReportInterval{10'000};
/// A tap that applies rules 1 accepts 9 MiB.
inline constexpr std::size_t kMostRegistryMessageBytes = 17u << 20;
/// Levels of nested objects and arrays, including the message itself. These messages need 3.
inline constexpr std::size_t kMostDepth = 128;

/// The longest IPv6 address in quotes, with its comma.
inline constexpr std::size_t kMostAddressBytes = 42;
/// A byte of a text takes at most six in JSON: \u0001.
inline constexpr std::size_t kMostEscapedByte = 6;
static_assert(kMostTapAddresses * kMostAddressBytes +
                      kMostControls * (kMostEscapedByte * kMostControlBytes + 3) +
                      kMostEscapedByte * kMostReportedText + 1024 <=
                  kMostTapMessageBytes,
              "a hello fits");
static_assert(kMostSettings * (kMostEscapedByte * (kMostSettingBytes + kMostReportedText) + 6) +
                      kMostEscapedByte * kMostReportedText + 1024 <=
                  kMostRegistryMessageBytes,
              "settings fit");
static_assert(kMostMessageItems * net::kMostTransportAddressBytes + 1024 <=
              kMostRegistryMessageBytes);

using Addresses = std::vector<net::IpAddress>;
using TransportAddresses = std::vector<net::TransportAddress>;

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
  std::uint64_t rules = 1;  ///< The newest set that the tap applies.
  /// Groups of settings that the registry may change, of tap::kControls; others are ignored. Empty:
  /// the tap takes no orders.
  std::vector<std::string> control{};
  /// The profile that the pod's annotation names. Empty: the registry chooses by the namespace.
  std::string profile{};
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct InterfaceReport {
  std::string name{};
  bool capturing = false;  ///< Open, up, and with a carrier.
  friend bool operator==(const InterfaceReport&, const InterfaceReport&) = default;
};
// The states of a sensor that decide something. The others only say how far a session has come.
inline constexpr std::string_view kWaiting = "waiting";      ///< There is no session.
inline constexpr std::string_view kCapturing = "capturing";  ///< It gets packets.
/// One sensor, or receiver of VXLAN, of one interface.
struct SensorReport {
  std::string sensor{};  ///< "HOST:PORT", as configured.
  /// kWaiting, "dialling", "authenticating", "ready", "opened" or kCapturing, as in the metric
  /// sidetap_sessions; kCapturing also for VXLAN and PCAP-over-IP.
  std::string state{};
  std::string reason{};  ///< Why there is no session, as in the log; empty if there is one.
  friend bool operator==(const SensorReport&, const SensorReport&) = default;
};
/// Totals since the tap's start, of all interfaces. Packets as captured; bytes on the wire, but for
/// `forwarded_bytes`, which are bytes sent.
struct ReportedCounts {
  std::uint64_t seen = 0, seen_bytes = 0;
  std::uint64_t owned = 0, owned_bytes = 0;
  std::uint64_t forwarded = 0, forwarded_bytes = 0;
  std::uint64_t filtered = 0;  ///< By sensors' filters, sampling and pause: wanted by nobody.
  friend bool operator==(const ReportedCounts&, const ReportedCounts&) = default;
};
/// The plaintext of a service mesh, by a tap that is told to forward it. Packets since its start.
struct MeshReport {
  /// "istio", "ambient", "linkerd", "envoy", or "none": no proxy listens in the pod now.
  std::string kind{};
  std::uint64_t read = 0;  ///< Of the loopback interface, that reached the tap.
  std::uint64_t legs = 0;  ///< Those of them that are plaintext to forward. `owned` has them too.
  std::uint64_t covered = 0;  ///< Ciphertext that was left out instead.
  friend bool operator==(const MeshReport&, const MeshReport&) = default;
};
/// What a tap does now.
struct Report {
  std::string release{};         ///< The tap's version.
  std::string profile{};         ///< Of the settings in force; empty: those of its environment.
  std::uint64_t generation = 0;  ///< Likewise; 0: those of its environment.
  /// Whether it applies what the registry said last. False: it was told something that it cannot
  /// apply.
  bool following = true;
  std::vector<InterfaceReport> interfaces{};
  std::vector<SensorReport> sensors{};
  ReportedCounts counts{};
  /// Packets that were owned, or would have been, and did not reach a sensor, by cause, as in the
  /// metric sidetap_packets_dropped_total.
  std::map<std::string, std::uint64_t> lost{};
  std::optional<MeshReport> mesh{};  ///< Nothing: the tap forwards no plaintext of a mesh.
  friend bool operator==(const Report&, const Report&) = default;
};
struct Resync {
  friend bool operator==(const Resync&, const Resync&) = default;
};

// What the registry sends.

/// What the registry publishes, or a part of it that is added or removed.
struct Lists {
  /// Addresses of the taps that forward.
  Addresses taps{};
  /// Those of `taps` whose taps apply rules 1 only.
  Addresses older{};
  /// Cluster IPs whose backends are all tapped, of Services that share no endpoint with a partly
  /// tapped one. A client's tap leaves their packets to the backends' taps.
  Addresses services{};
  /// Internal addresses of the nodes.
  Addresses nodes{};
  /// Tapped endpoints of partly tapped Services, and of Services that share an endpoint with one.
  /// Between such an endpoint and a tapped client, the client's tap owns both directions. Never an
  /// endpoint in `older`.
  TransportAddresses client_owned{};
  /// Transport protocols and target ports of all endpoints of all Services. The address is 0.0.0.0.
  TransportAddresses server_ports{};
  /// Other addresses of the same kind of Services as in `services`: external IPs, load balancers,
  /// node ports. 0.0.0.0 stands for every IPv4 address in `nodes`, :: for every IPv6 address there.
  TransportAddresses front_ends{};
  friend bool operator==(const Lists&, const Lists&) = default;
};
struct Snapshot {
  std::uint64_t version = 0;
  Lists lists{};
  /// Whether the registry watches Services. If not, all lists but `taps` and `older` are empty, and
  /// "services" is absent on the wire.
  bool knows_services = false;
  /// The rules that the registry knows. 1: `older` and what follows `services` is absent.
  std::uint64_t rules = 1;
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};
struct Change {
  std::uint64_t from = 0;
  std::uint64_t version = 0;
  Lists add{};
  Lists remove{};
  friend bool operator==(const Change&, const Change&) = default;
};
struct CaBundle {
  std::string pem{};
  friend bool operator==(const CaBundle&, const CaBundle&) = default;
};
/// The settings that a profile gives to a tap. Replicas that hold different configurations send
/// different ones for a while.
struct Settings {
  /// Of the registry's configuration. Between replicas, a greater one is newer.
  std::uint64_t generation = 0;
  std::string profile{};  ///< Empty: the default profile.
  /// By environment variable, for each setting with Setting::control; an empty text means the tap's
  /// own default. A tap leaves out groups that it does not take orders for, and variables that it
  /// does not know.
  std::map<std::string, std::string, std::less<>> values{};
  friend bool operator==(const Settings&, const Settings&) = default;
};
struct Refused {
  std::string reason{};
  friend bool operator==(const Refused&, const Refused&) = default;
};

/// A message of an unknown type. Ignore it.
struct Unknown {
  friend bool operator==(const Unknown&, const Unknown&) = default;
};

using TapMessage = std::variant<Hello, State, Report, Resync, Unknown>;
using Message = std::variant<Snapshot, Change, Settings, CaBundle, Refused, Unknown>;

}  // namespace sidetap::registry
