// Why a packet is forwarded by this tap or left to another.
#pragma once

#include <cstdint>
#include <string_view>

namespace sidetap::ownership {

/// The reason of a decision. The names are part of the tool's output and of metrics labels.
enum class Rule : std::uint8_t {
  kUnreadable,         ///< No link or network header: nobody can be named.
  kOwnTraffic,         ///< The tap's own connection, or an ICMP error about it.
  kNotSelf,            ///< Neither end is this pod.
  kSelfToSelf,         ///< Both ends are this pod.
  kReturned,           ///< This pod's own packet, coming back from a bridge in hairpin mode.
  kGroupSent,          ///< Multicast, broadcast, ARP, neighbour discovery: this pod sent it.
  kGroupFromTapped,    ///< The same, sent by a tapped peer.
  kGroupFromUntapped,  ///< The same, sent by somebody without a tap.
  kGroupFromUnknown,   ///< The same, from a sender without a telling address, among tapped peers.
  kServiceView,        ///< VIP view; the backend's tap forwards the pod view.
  kServiceViewKept,    ///< VIP view, and the backends are not tapped or every view is wanted.
  kPeerUntapped,       ///< The peer has no tap.
  kTcpHandshake,       ///< SYN or SYN+ACK names the server.
  kTcpFlow,            ///< The flow's handshake was seen.
  kTcpSimultaneous,    ///< Both ends opened at once: lower port, then lower address.
  kTcpListening,       ///< Midway: the local port is in LISTEN.
  kTcpMidway,          ///< Midway: ephemeral range, then lower port, then lower address.
  kServerPort,         ///< One port is configured as a server's.
  kEphemeralPort,      ///< One port is in the ephemeral range.
  kLowerPort,          ///< The lower port is the server's.
  kLowerAddress,       ///< Nothing else tells the two ends apart.
  kEcho,               ///< The one who is asked is the server.
  kQuotedFlow,         ///< ICMP error: as the flow it quotes.
  kFragment,           ///< As the first fragment of the same datagram.
  kSender,             ///< Truncated or malformed: its sender.
};
inline constexpr unsigned kRuleCount = static_cast<unsigned>(Rule::kSender) + 1;

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
