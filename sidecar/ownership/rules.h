// The rules by which this tap forwards a packet or leaves it to another tap.
#pragma once

#include <cstdint>
#include <string_view>

namespace sidetap::ownership {

/// The rule behind a decision. The names appear in the output of `explain` and in metric labels.
enum class Rule : std::uint8_t {
  kUnreadable,         ///< No link or network header: the ends are unknown.
  kOwnTraffic,         ///< The tap's own connection, or an ICMP error about it.
  kNotSelf,            ///< Neither end is this pod.
  kSelfToSelf,         ///< Both ends are this pod.
  kReturned,           ///< This pod's packet, returned by a bridge in hairpin mode.
  kGroupSent,          ///< Multicast, broadcast, ARP, neighbour discovery: this pod sent it.
  kGroupFromTapped,    ///< The same, sent by a tapped peer.
  kGroupFromUntapped,  ///< The same, sent by somebody without a tap.
  kGroupFromUnknown,   ///< The same, from an unidentified sender while peers are tapped.
  kServiceView,        ///< VIP view: the backend's tap forwards the pod view.
  kServiceViewKept,    ///< VIP view: the backends are not tapped, or all views are wanted.
  kPeerUntapped,       ///< The peer has no tap.
  kTcpHandshake,       ///< SYN or SYN+ACK names the server.
  kTcpFlow,            ///< The flow's handshake was seen.
  kTcpSimultaneous,    ///< Both ends opened at once: lower port, then lower address.
  kTcpListening,       ///< Midway: the local port is in LISTEN.
  kTcpMidway,          ///< Midway: ephemeral range, then lower port, then lower address.
  kServerPort,         ///< One port is a server's: a Service's target port, or configured.
  kEphemeralPort,      ///< One port is in the ephemeral range.
  kLowerPort,          ///< The lower port is the server's.
  kLowerAddress,       ///< Nothing else distinguishes the two ends.
  kEcho,               ///< The end that is asked is the server.
  kQuotedFlow,         ///< ICMP error: decided as the flow that it quotes.
  kFragment,           ///< Decided as the datagram's first fragment.
  kSender,             ///< Truncated or malformed: the sender's tap.
  kClientOwned,        ///< The server is an endpoint of a partly tapped Service: the client's tap.
  kMeshLeg,            ///< Plaintext between a mesh's proxy and the application, of the loopback.
  kMeshCovered,        ///< A mesh's ciphertext, whose plaintext is forwarded instead.
  kLoopback,           ///< Of the loopback interface, and no leg of a mesh.
};
inline constexpr unsigned kRuleCount = static_cast<unsigned>(Rule::kLoopback) + 1;

/// "peer-untapped" and the like; a static string.
std::string_view rule_name(Rule rule);
/// One sentence for an operator; a static string.
std::string_view rule_text(Rule rule);

struct Decision {
  bool owned = false;
  Rule rule = Rule::kUnreadable;
  friend bool operator==(const Decision&, const Decision&) = default;
};

}  // namespace sidetap::ownership
