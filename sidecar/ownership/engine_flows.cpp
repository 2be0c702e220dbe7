// Rule 5: between two tapped pods, the server of the flow owns it, or the client where the server
// is an endpoint of a partly tapped Service.
#include <algorithm>

#include "sidecar/ownership/engine.h"
#include "sidecar/ownership/icmp_kinds.h"

namespace sidetap::ownership {
namespace {

using capture::Depth;
using capture::IpProtocol;
using capture::PacketView;

constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::kTcp);

/// A SYN together with RST or FIN does not open a connection.
bool opens_connection(std::uint8_t flags) {
  return (flags & capture::kTcpSyn) != 0 && (flags & (capture::kTcpRst | capture::kTcpFin)) == 0;
}

}  // namespace

FragmentKey Engine::fragment_key(const PacketView& packet) {
  // In IPv6, the first fragment may name another protocol than later ones, because extension
  // headers may follow the fragment header (RFC 8200, 4.5).
  return {packet.source, packet.destination, packet.fragment_id,
          packet.source.is_v4() ? packet.protocol : std::uint8_t{0}};
}

Decision Engine::decide_fragment(const PacketView& packet, const Flow& flow) {
  const FragmentKey key = fragment_key(packet);
  if (packet.first_fragment) {
    const Decision decision = packet.depth == Depth::kTransport
                                  ? decide_whole(packet, flow)
                                  : lower_end({flow.local.address, 0}, {flow.remote.address, 0});
    fragments_.remember(key, decision);
    return decision;
  }
  if (const Decision* first = fragments_.find(key)) return {first->owned, Rule::kFragment};
  return lower_end({flow.local.address, 0}, {flow.remote.address, 0});
}

Decision Engine::decide_whole(const PacketView& packet, const Flow& flow) {
  switch (static_cast<IpProtocol>(packet.protocol)) {
    case IpProtocol::kTcp:
      if (packet.depth != Depth::kTransport) return {flow.outbound, Rule::kSender};
      return decide_tcp(packet, flow);
    case IpProtocol::kUdp:
    case IpProtocol::kDccp:
    case IpProtocol::kSctp:
    case IpProtocol::kUdpLite:
      if (packet.depth != Depth::kTransport) return {flow.outbound, Rule::kSender};
      return datagram_owner(flow, packet.protocol);
    case IpProtocol::kIcmp:
    case IpProtocol::kIcmpV6:
      if (packet.depth != Depth::kTransport) return {flow.outbound, Rule::kSender};
      return decide_icmp(packet, flow);
  }
  return lower_end({flow.local.address, 0}, {flow.remote.address, 0});
}

Decision Engine::owner(const Flow& flow, std::uint8_t protocol, Decision server) const {
  if (!flow.client_owned) [[likely]]
    return server;
  return client_or(flow, protocol, server);
}

/// Not inlined, and out of the way of ordinary flows.
[[gnu::noinline]] Decision Engine::client_or(const Flow& flow, std::uint8_t protocol,
                                             Decision server) const {
  const End& end = server.owned ? flow.local : flow.remote;
  if (!tapped_->client_owned.contains({end.address, protocol, end.port})) return server;
  return {!server.owned, Rule::kClientOwned};
}

KnownServers Engine::known_servers(const Flow& flow, std::uint8_t protocol,
                                   const PortSet& ports) const {
  KnownServers known;
  // The two taps of a link-local address do not know which rules the other one applies.
  if (!ports.empty() && !flow.older && !flow.remote.address.is_link_local()) {
    known = {ports.contains(protocol, flow.local.port), ports.contains(protocol, flow.remote.port)};
  }
  const auto& configured = config_.server_ports;
  if (configured.empty() || protocol == kTcp) return known;
  const auto is_configured = [&](std::uint16_t port) {
    return std::binary_search(configured.begin(), configured.end(), port);
  };
  return {known.local || is_configured(flow.local.port),
          known.remote || is_configured(flow.remote.port)};
}

template <typename ServerOf>
[[gnu::noinline]] Decision Engine::owner_by_ports(const Flow& flow, std::uint8_t protocol,
                                                  ServerOf server_of) const {
  const Decision now = owner(flow, protocol, server_of(tapped_->server_ports));
  if (now.owned || !tapped_->former_server_ports) return now;
  const Decision before = owner(flow, protocol, server_of(*tapped_->former_server_ports));
  return before.owned ? before : now;
}

Decision Engine::datagram_owner(const Flow& flow, std::uint8_t protocol) const {
  const auto server_of = [&](const PortSet& ports) {
    return datagram_server(flow.local, flow.remote, config_.ephemeral,
                           known_servers(flow, protocol, ports));
  };
  if (ports_change_) [[unlikely]]
    return owner_by_ports(flow, protocol, server_of);
  return owner(flow, protocol, server_of(tapped_->server_ports));
}

Decision Engine::decide_tcp(const PacketView& packet, const Flow& flow) {
  FlowState& state = flows_.obtain(key_of(flow));
  const std::uint8_t flags = packet.tcp_flags;
  if (opens_connection(flags))
    return owner(flow, kTcp, decide_tcp_handshake(flow, state, (flags & capture::kTcpAck) != 0));
  state.settled = true;
  if ((flags & capture::kTcpRst) != 0) state.reset = true;
  if ((flags & capture::kTcpFin) != 0) {
    state.fin_from_local |= flow.outbound;
    state.fin_from_remote |= !flow.outbound;
  }
  if (state.decided) return owner(flow, kTcp, {state.local_is_server, state.rule});
  return decide_tcp_midway(flow, state);
}

Decision Engine::decide_tcp_handshake(const Flow& flow, FlowState& state, bool answer) const {
  bool both = false;
  if (answer) {
    state.answer_from_local |= flow.outbound;
    state.answer_from_remote |= !flow.outbound;
    // Two SYNs are not enough: the older one may have remained unanswered.
    both = state.answer_from_local && state.answer_from_remote;
  } else {
    // After data, a SYN starts a new connection on the same ports, perhaps in the other direction.
    // The same is true if its sender has answered before: within one connection, it would answer
    // again.
    if (state.settled || (flow.outbound ? state.answer_from_local : state.answer_from_remote))
      state = FlowState{};
    state.syn_from_local |= flow.outbound;
    state.syn_from_remote |= !flow.outbound;
    both = state.syn_from_local && state.syn_from_remote;
  }
  const bool server_is_local = answer == flow.outbound;
  state.decided = true;
  state.local_is_server = both ? lower_end(flow.local, flow.remote).owned : server_is_local;
  state.rule = both ? Rule::kTcpSimultaneous : Rule::kTcpFlow;
  return {server_is_local, Rule::kTcpHandshake};
}

/// Remembers what later packets need from this one once the peer is tapped.
void Engine::remember(const PacketView& packet, const Flow& flow) {
  remember_handshake(packet, flow);
  if (packet.fragment && packet.first_fragment) decide_fragment(packet, flow);
}

void Engine::remember_handshake(const PacketView& packet, const Flow& flow) {
  if (packet.protocol != kTcp || packet.depth != Depth::kTransport ||
      !opens_connection(packet.tcp_flags))
    return;
  // Packets between this one and an earlier one were not examined, so a SYN resets the state.
  if ((packet.tcp_flags & capture::kTcpAck) == 0) flows_.obtain(key_of(flow)) = FlowState{};
  decide_tcp(packet, flow);
}

Decision Engine::midway_server_of(const Flow& flow, const PortSet& ports) const {
  // Before the listening sockets, which only one of the two taps knows.
  const KnownServers known = known_servers(flow, kTcp, ports);
  if (known.telling()) return {known.local, Rule::kServerPort};
  if (listening_.is_listening(flow.local.address, flow.local.port))
    return {true, Rule::kTcpListening};
  return midway_server(flow.local, flow.remote, config_.ephemeral);
}

Decision Engine::decide_tcp_midway(const Flow& flow, FlowState& state) const {
  // While the ports change, the two taps may have different ones: remember nothing of that.
  if (ports_change_) {
    return owner_by_ports(flow, kTcp,
                          [&](const PortSet& ports) { return midway_server_of(flow, ports); });
  }
  const Decision server = midway_server_of(flow, tapped_->server_ports);
  state.decided = true;
  state.local_is_server = server.owned;
  state.rule = server.rule;
  return owner(flow, kTcp, server);
}

Decision Engine::decide_icmp(const PacketView& packet, const Flow& flow) {
  switch (who_is_asked(packet.protocol, packet.icmp_type)) {
    case Asked::kDestination:
      return {!flow.outbound, Rule::kEcho};
    case Asked::kSource:
      return {flow.outbound, Rule::kEcho};
    case Asked::kNobody:
      break;
  }
  if (!is_icmp_error(packet.protocol, packet.icmp_type)) {
    return lower_end({flow.local.address, 0}, {flow.remote.address, 0});
  }
  return decide_quote(packet, flow);
}

Decision Engine::decide_quote(const PacketView& packet, const Flow& flow) {
  // Without a quote, or with a quote of a flow between others, the two taps have nothing to agree
  // on.
  if (!packet.quote) return {flow.outbound, Rule::kSender};
  const capture::QuotedFlow& quote = *packet.quote;
  const bool from_local =
      quote.source == flow.local.address && quote.destination == flow.remote.address;
  const bool from_remote =
      quote.source == flow.remote.address && quote.destination == flow.local.address;
  if (!from_local && !from_remote) return {flow.outbound, Rule::kSender};

  Flow quoted = flow;
  quoted.local.port = from_local ? quote.source_port : quote.destination_port;
  quoted.remote.port = from_local ? quote.destination_port : quote.source_port;
  if (quote.is_echo) return {from_local != quote.echo_request, Rule::kQuotedFlow};
  if (!quote.has_ports) {
    return {lower_end({quoted.local.address, 0}, {quoted.remote.address, 0}).owned,
            Rule::kQuotedFlow};
  }
  if (quote.protocol != kTcp)
    return {datagram_owner(quoted, quote.protocol).owned, Rule::kQuotedFlow};
  // The quote is not a packet of the flow, so it must not create or change the flow's state.
  const FlowState* known = flows_.find(key_of(quoted));
  if (known != nullptr && known->decided)
    return {owner(quoted, kTcp, {known->local_is_server, known->rule}).owned, Rule::kQuotedFlow};
  return {owner_by_ports(quoted, kTcp,
                         [&](const PortSet& ports) { return midway_server_of(quoted, ports); })
              .owned,
          Rule::kQuotedFlow};
}

}  // namespace sidetap::ownership
