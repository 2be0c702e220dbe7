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
    {"service-view", "packet with a Service's address; the backend's tap forwards it"},
    {"service-view-kept",
     "packet with a Service's address that no backend's tap forwards, or that you want as well"},
    {"peer-untapped", "the peer has no tap"},
    {"tcp-handshake", "SYN or SYN+ACK names the server, which owns the flow"},
    {"tcp-flow", "the handshake of the flow named the server"},
    {"tcp-simultaneous",
     "both ends opened at once; the end with the lower port, then the lower address, owns the "
     "flow"},
    {"tcp-listening", "flow first seen midway; the local port is in LISTEN"},
    {"tcp-midway", "flow first seen midway; decided by its ports"},
    {"server-port", "only one of the ports is a server's: a Service's target port, or configured"},
    {"ephemeral-port", "one of the ports is ephemeral, so the other end is the server"},
    {"lower-port", "the end with the lower port is the server"},
    {"lower-address", "the end with the lower address owns the packet"},
    {"echo", "the receiver of the request owns both directions"},
    {"quoted-flow", "ICMP error, which is treated like the flow that it quotes"},
    {"fragment", "treated like the first fragment of the same datagram"},
    {"sender", "truncated or malformed; the sender owns it"},
    {"client-owned",
     "the server is an endpoint of a partly tapped Service, so the client's tap owns the flow"},
    {"mesh-leg", "the plaintext between the mesh's proxy and the application"},
    {"mesh-covered", "ciphertext of the mesh, whose plaintext is forwarded instead"},
    {"loopback", "on the loopback interface, and not plaintext of the mesh"},
}};

}  // namespace

std::string_view rule_name(Rule rule) { return kRules[static_cast<unsigned>(rule)].name; }
std::string_view rule_text(Rule rule) { return kRules[static_cast<unsigned>(rule)].text; }

}  // namespace sidetap::ownership
