#include "sidecar/ownership/rules.h"

#include <array>

namespace sidetap::ownership {
namespace {

struct RuleInfo {
  std::string_view name;
  std::string_view text;
};

// In the order of the enumeration.
constexpr std::array<RuleInfo, kRuleCount> kRules{{
    {"unreadable", "no readable headers: the ends are unknown"},
    {"own-traffic", "a connection of the tap itself"},
    {"not-self", "neither end is this pod"},
    {"self-to-self", "both ends are this pod"},
    {"returned", "this pod's own packet, returned by the bridge"},
    {"group-sent", "multicast, broadcast, ARP or neighbour discovery that this pod sent"},
    {"group-from-tapped",
     "multicast, broadcast, ARP or neighbour discovery whose sender is tapped"},
    {"group-from-untapped",
     "multicast, broadcast, ARP or neighbour discovery whose sender has no tap"},
    {"group-from-unknown", "the sender is unknown and may be tapped"},
    {"service-view", "view of a Service address; the backend's tap forwards the pod view"},
    {"service-view-kept",
     "view of a Service address that no backend's tap forwards, or that is wanted too"},
    {"peer-untapped", "the peer has no tap"},
    {"tcp-handshake", "SYN or SYN+ACK names the server, which owns the flow"},
    {"tcp-flow", "the handshake of the flow named the server"},
    {"tcp-simultaneous", "both ends opened at once: the lower port, then the lower address owns"},
    {"tcp-listening", "flow first seen midway; the local port is in LISTEN"},
    {"tcp-midway", "flow first seen midway; decided by its ports"},
    {"server-port", "only one of the ports is a server's: a Service's target port, or configured"},
    {"ephemeral-port", "one of the ports is ephemeral, so the other end is the server"},
    {"lower-port", "the end with the lower port is the server"},
    {"lower-address", "the end with the lower address owns the packet"},
    {"echo", "the end that is asked owns both directions"},
    {"quoted-flow", "an ICMP error goes with the flow it quotes"},
    {"fragment", "as the first fragment of the same datagram"},
    {"sender", "truncated or malformed: its sender owns"},
    {"client-owned", "the server is an endpoint of a partly tapped Service: the client's tap owns"},
    {"mesh-leg", "the plaintext between the mesh's proxy and the application"},
    {"mesh-covered", "ciphertext of the mesh, whose plaintext is forwarded instead"},
    {"loopback", "of the loopback interface, and no leg of the mesh"},
}};

}  // namespace

std::string_view rule_name(Rule rule) { return kRules[static_cast<unsigned>(rule)].name; }
std::string_view rule_text(Rule rule) { return kRules[static_cast<unsigned>(rule)].text; }

}  // namespace sidetap::ownership
