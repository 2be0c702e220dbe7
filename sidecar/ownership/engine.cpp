#include "sidecar/ownership/engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "sidecar/ownership/icmp_kinds.h"

namespace sidetap::ownership {
namespace {

using capture::Depth;
using capture::Direction;
using capture::IpProtocol;
using capture::PacketView;

constexpr auto kTcp = static_cast<std::uint8_t>(IpProtocol::kTcp);

/// A SYN together with RST or FIN does not open a connection.
bool opens_connection(std::uint8_t flags) {
  return (flags & capture::kTcpSyn) != 0 && (flags & (capture::kTcpRst | capture::kTcpFin)) == 0;
}

/// Bit n is set if a port of an own endpoint is n modulo 64. This alone excludes most packets.
std::uint64_t port_mask(std::span<const capture::OwnEndpoint> endpoints) {
  std::uint64_t mask = 0;
  for (const capture::OwnEndpoint& own : endpoints) {
    const std::uint16_t local = own.matched_local_port();
    const std::uint16_t port = local != 0 ? local : own.remote_port;
    mask |= port == 0 ? ~std::uint64_t{0} : std::uint64_t{1} << port % 64;
  }
  return mask;
}

}  // namespace

Engine::Engine(EngineConfig config, ListeningSockets& listening)
    : config_(std::move(config)),
      listening_(listening),
      peers_(std::make_shared<const TappedPeers>(std::move(config_.tapped_peers))),
      tapped_(&peers_.newest()),
      addresses_(config_.hash_seed),
      flows_(config_.flow_capacity, config_.hash_seed),
      fragments_(config_.fragment_capacity, config_.hash_seed),
      neighbours_(config_.hash_seed) {
  std::sort(config_.server_ports.begin(), config_.server_ports.end());
  own_ports_ = port_mask(config_.own_endpoints);
  for (const net::Cidr& subnet : config_.pod_subnets.prefixes())
    (subnet.is_v4() ? has_v4_subnets_ : has_v6_subnets_) = true;
}

void Engine::set_self(Self self) {
  const std::lock_guard lock(pending_mutex_);
  pending_.self = std::make_unique<Self>(std::move(self));
  has_pending_.store(true, std::memory_order_release);
}

void Engine::set_gateways(std::vector<net::IpAddress> gateways) {
  const std::lock_guard lock(pending_mutex_);
  pending_.gateways = std::make_unique<std::vector<net::IpAddress>>(std::move(gateways));
  has_pending_.store(true, std::memory_order_release);
}

void Engine::set_tapped_peers(std::shared_ptr<const TappedPeers> peers, Moment since) {
  const std::lock_guard lock(pending_mutex_);
  // Keeps no more than are remembered, even if no packet adopts them for long.
  if (pending_.peers.size() > PeerHistory::kMostOlder) pending_.peers.erase(pending_.peers.begin());
  pending_.peers.push_back({std::move(peers), since});
  has_pending_.store(true, std::memory_order_release);
}

void Engine::set_own_endpoints(std::vector<capture::OwnEndpoint> endpoints) {
  const std::lock_guard lock(pending_mutex_);
  pending_.own = std::make_unique<std::vector<capture::OwnEndpoint>>(std::move(endpoints));
  has_pending_.store(true, std::memory_order_release);
}

void Engine::adopt_pending() {
  Pending fresh;
  {
    const std::lock_guard lock(pending_mutex_);
    fresh = std::exchange(pending_, Pending{});
    has_pending_.store(false, std::memory_order_relaxed);
  }
  if (fresh.self) config_.self = std::move(*fresh.self);
  if (fresh.gateways) {
    config_.gateways = std::move(*fresh.gateways);
    neighbours_.forget();
    last_next_hop_ = {};
  }
  for (PeersSince& next : fresh.peers) peers_.add(std::move(next));
  choose_peers(kNow);
  if (fresh.own) {
    config_.own_endpoints = std::move(*fresh.own);
    own_ports_ = port_mask(config_.own_endpoints);
  }
  addresses_.forget();
}

void Engine::choose_peers(Moment moment) {
  earlier_peers_ = peers_.has_older();
  tapped_ = &peers_.at(moment);
  in_the_past_ = tapped_ != &peers_.newest();
}

void Engine::forget_peers_before(Moment moment) {
  if (has_pending_.load(std::memory_order_acquire)) adopt_pending();
  peers_.forget_before(moment);
  choose_peers(kNow);
}

AddressFacts Engine::facts_of(const net::IpAddress& address) {
  if (in_the_past_) [[unlikely]]
    return look_up(address);
  return addresses_.find(address, [this](net::IpAddress a) { return look_up(a); });
}

AddressFacts Engine::look_up(net::IpAddress address) const {
  const auto& broadcasts = config_.self.broadcasts;
  AddressFacts facts;
  facts.self = is_self(address);
  facts.group = address.is_multicast() || address.is_limited_broadcast() ||
                std::find(broadcasts.begin(), broadcasts.end(), address) != broadcasts.end();
  const bool gateway = is_gateway(address);
  facts.tapped = tapped_->contains(address, gateway);
  facts.gateway = gateway && !facts.tapped;
  const bool untapped_service = config_.untapped_services.contains(address);
  facts.service = untapped_service || config_.service_subnets.contains(address);
  facts.service_kept = untapped_service || keeps_view(config_.service_view, *tapped_, address);
  facts.routed =
      facts.gateway || (!facts.self && !facts.tapped && !facts.group && !address.is_link_local() &&
                        (facts.service || is_outside(address)));
  return facts;
}

bool Engine::is_self(net::IpAddress address) const {
  const auto& mine = config_.self.addresses;
  return std::find(mine.begin(), mine.end(), address) != mine.end();
}

bool Engine::is_gateway(net::IpAddress address) const {
  const auto& gateways = config_.gateways;
  return std::find(gateways.begin(), gateways.end(), address) != gateways.end();
}

bool Engine::is_tapped(const PacketView& packet, net::IpAddress peer, AddressFacts facts,
                       bool peer_sent) {
  // An IPv4 link-local address belongs to a service of the node (DNS cache, metadata), or is named.
  if (facts.tapped || facts.gateway || peer.is_v4() || !peer.is_link_local()) return facts.tapped;
  // An IPv6 link-local address does not distinguish a pod from its gateway.
  return is_tapped_by_mac(packet, peer_sent) != Tapped::kNo;
}

bool Engine::is_own(std::uint8_t protocol, const End& from, const End& to, bool ports_known) const {
  const auto fits = [&](const capture::OwnEndpoint& own, const End& local, const End& remote) {
    // Compare ports first, which is cheaper.
    if (ports_known) {
      const std::uint16_t local_port = own.matched_local_port();
      if (local_port != 0 && local.port != local_port) return false;
      if (own.remote_port != 0 && remote.port != own.remote_port) return false;
    } else if (own.remote.is_unspecified()) {
      return false;
    }
    if (!own.remote.is_unspecified() && remote.address != own.remote) return false;
    return own.local.is_unspecified() ? is_self(local.address) || local.address.is_loopback()
                                      : local.address == own.local;
  };
  for (const capture::OwnEndpoint& own : config_.own_endpoints) {
    if (static_cast<std::uint8_t>(own.protocol) != protocol) continue;
    if (fits(own, from, to) || fits(own, to, from)) return true;
  }
  return false;
}

bool Engine::is_own_traffic(const PacketView& packet) const {
  const bool whole = packet.depth == Depth::kTransport && !packet.fragment && !packet.quote;
  if (whole &&
      ((own_ports_ >> packet.source_port % 64 | own_ports_ >> packet.destination_port % 64) & 1) ==
          0)
    return false;
  const bool later_fragment = packet.fragment && !packet.first_fragment;
  if (packet.depth == Depth::kTransport || later_fragment) {
    if (is_own(packet.protocol, {packet.source, packet.source_port},
               {packet.destination, packet.destination_port}, !later_fragment)) {
      return true;
    }
  }
  return packet.quote && packet.quote->has_ports &&
         is_own(packet.quote->protocol, {packet.quote->source, packet.quote->source_port},
                {packet.quote->destination, packet.quote->destination_port}, true);
}

Decision Engine::decide(const PacketView& packet, Moment moment) {
  if (has_pending_.load(std::memory_order_acquire)) adopt_pending();
  if (earlier_peers_) [[unlikely]]
    choose_peers(moment);
  if (packet.depth == Depth::kNothing) {
    return {packet.direction == Direction::kOutbound, Rule::kUnreadable};
  }
  if (packet.depth == Depth::kLink) return decide_link(packet);
  if (is_own_traffic(packet)) return {false, Rule::kOwnTraffic};

  const AddressFacts source = facts_of(packet.source);
  const AddressFacts destination = facts_of(packet.destination);
  const bool from_self = source.self;
  const bool to_self = destination.self;
  const bool inbound = packet.direction == Direction::kInbound;
  if (from_self && inbound && !to_self) return {false, Rule::kReturned};
  // A unicast packet from this pod to itself went through a Service and was translated on the
  // bridge: it is not an echo.
  if (inbound && (!to_self || packet.link_group) && is_echo(packet))
    return {false, Rule::kReturned};
  if (from_self && destination.routed && packet.has_mac && !packet.link_group)
    learn_next_hop(packet.destination_mac, destination);
  if (packet.link_group || destination.group) return decide_group(packet, source);
  if (packet.source.is_unspecified()) return decide_group(packet, source);
  if (!from_self && !to_self) return {false, Rule::kNotSelf};
  if (is_neighbour_discovery(packet)) return decide_group(packet, source);
  if (from_self && to_self) return {true, Rule::kSelfToSelf};

  const Flow flow{{from_self ? packet.source : packet.destination,
                   from_self ? packet.source_port : packet.destination_port},
                  {from_self ? packet.destination : packet.source,
                   from_self ? packet.destination_port : packet.source_port},
                  from_self};
  const net::IpAddress peer = flow.remote.address;
  const AddressFacts peer_facts = from_self ? destination : source;
  if (peer_facts.service) return decide_service(peer_facts);
  if (!is_tapped(packet, peer, peer_facts, !from_self)) {
    if (config_.peers_change) remember(packet, flow);
    return {true, Rule::kPeerUntapped};
  }
  return packet.fragment ? decide_fragment(packet, flow) : decide_whole(packet, flow);
}

bool Engine::is_left_to_peer(const PacketView& packet) {
  if (has_pending_.load(std::memory_order_acquire)) adopt_pending();
  if (in_the_past_) choose_peers(kNow);
  // Of what goes to several only those know who are on the link.
  if (packet.depth == Depth::kNothing || packet.depth == Depth::kLink || packet.link_group)
    return false;
  const AddressFacts source = facts_of(packet.source);
  const AddressFacts destination = facts_of(packet.destination);
  if (source.self == destination.self || destination.group) return false;
  const AddressFacts peer = source.self ? destination : source;
  if (peer.service) return !peer.service_kept;
  return peer.tapped || (!peer.gateway && is_tapped_by_mac(packet, !source.self) == Tapped::kYes &&
                         (source.self ? packet.destination : packet.source).is_link_local());
}

Decision Engine::decide_service(AddressFacts peer) const {
  return {peer.service_kept, peer.service_kept ? Rule::kServiceViewKept : Rule::kServiceView};
}

Decision Engine::decide_fragment(const PacketView& packet, const Flow& flow) {
  // In IPv6, the first fragment may name another protocol than later ones, because extension
  // headers may follow the fragment header (RFC 8200, 4.5).
  const FragmentKey key{packet.source, packet.destination, packet.fragment_id,
                        packet.source.is_v4() ? packet.protocol : std::uint8_t{0}};
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
      return datagram_server(flow.local, flow.remote, config_.ephemeral, config_.server_ports);
    case IpProtocol::kIcmp:
    case IpProtocol::kIcmpV6:
      if (packet.depth != Depth::kTransport) return {flow.outbound, Rule::kSender};
      return decide_icmp(packet, flow);
  }
  return lower_end({flow.local.address, 0}, {flow.remote.address, 0});
}

Decision Engine::decide_tcp(const PacketView& packet, const Flow& flow) {
  FlowState& state = flows_.obtain(key_of(flow));
  const std::uint8_t flags = packet.tcp_flags;
  if (opens_connection(flags))
    return decide_tcp_handshake(flow, state, (flags & capture::kTcpAck) != 0);
  state.settled = true;
  if ((flags & capture::kTcpRst) != 0) state.reset = true;
  if ((flags & capture::kTcpFin) != 0) {
    state.fin_from_local |= flow.outbound;
    state.fin_from_remote |= !flow.outbound;
  }
  if (state.decided) return {state.local_is_server, state.rule};
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

Decision Engine::decide_tcp_midway(const Flow& flow, FlowState& state) {
  Decision decision{true, Rule::kTcpListening};
  if (!listening_.is_listening(flow.local.address, flow.local.port)) {
    decision = midway_server(flow.local, flow.remote, config_.ephemeral);
  }
  state.decided = true;
  state.local_is_server = decision.owned;
  state.rule = decision.rule;
  return decision;
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

  const End local{flow.local.address, from_local ? quote.source_port : quote.destination_port};
  const End remote{flow.remote.address, from_local ? quote.destination_port : quote.source_port};
  if (quote.is_echo) return {from_local != quote.echo_request, Rule::kQuotedFlow};
  if (!quote.has_ports) {
    return {lower_end({local.address, 0}, {remote.address, 0}).owned, Rule::kQuotedFlow};
  }
  if (quote.protocol != kTcp) {
    return {datagram_server(local, remote, config_.ephemeral, config_.server_ports).owned,
            Rule::kQuotedFlow};
  }
  // The quote is not a packet of the flow, so it must not create or change the flow's state.
  const FlowState* known = flows_.find(key_of({local, remote}));
  if (known != nullptr && known->decided) return {known->local_is_server, Rule::kQuotedFlow};
  if (listening_.is_listening(local.address, local.port)) return {true, Rule::kQuotedFlow};
  return {midway_server(local, remote, config_.ephemeral).owned, Rule::kQuotedFlow};
}

}  // namespace sidetap::ownership
