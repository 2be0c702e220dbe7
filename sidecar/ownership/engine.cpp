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

/// The protocols of Services.
bool is_service_transport(std::uint8_t protocol) {
  const auto is = [protocol](IpProtocol one) { return protocol == static_cast<std::uint8_t>(one); };
  return is(IpProtocol::kTcp) || is(IpProtocol::kUdp) || is(IpProtocol::kSctp);
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
  ports_change_ = tapped_->former_server_ports.has_value();
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
  const auto& subnets = config_.service_subnets;
  const auto& listed = tapped_->tapped_services;
  facts.service = untapped_service ||
                  (subnets.has_family(address.is_v4()) ? subnets.contains(address)
                                                       : listed && listed->contains(address));
  facts.service_kept = untapped_service || keeps_view(config_.service_view, *tapped_, address);
  facts.older = tapped_->older.contains(address);
  facts.client_owned = tapped_->client_owned.has_address(address);
  facts.front_end = tapped_->front_ends.has_address(address);
  facts.node = tapped_->nodes.contains(address);
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

  Flow flow{{from_self ? packet.source : packet.destination,
             from_self ? packet.source_port : packet.destination_port},
            {from_self ? packet.destination : packet.source,
             from_self ? packet.destination_port : packet.source_port},
            from_self};
  const net::IpAddress peer = flow.remote.address;
  const AddressFacts peer_facts = from_self ? destination : source;
  flow.older = peer_facts.older;
  flow.client_owned = !flow.older && (source.client_owned || destination.client_owned);
  if (peer_facts.service) return decide_service(packet, peer_facts);
  if (!is_tapped(packet, peer, peer_facts, !from_self)) {
    if ((peer_facts.front_end || peer_facts.node) && is_front_end_view(packet, flow, peer_facts))
      return {false, Rule::kServiceView};
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
  const bool from_self = source.self;
  const AddressFacts peer = from_self ? destination : source;
  const End remote{from_self ? packet.destination : packet.source,
                   from_self ? packet.destination_port : packet.source_port};
  if (peer.service) return !decide_service(packet, peer).owned;
  if (packet.depth == Depth::kTransport && is_front_end(packet.protocol, remote, peer)) return true;
  return peer.tapped || (!peer.gateway && remote.address.is_link_local() &&
                         is_tapped_by_mac(packet, !from_self) == Tapped::kYes);
}

Decision Engine::decide_service(const PacketView& packet, AddressFacts peer) const {
  // No backend gets the rest: the node answers it, or nobody does.
  const bool is_error = is_icmp(packet.protocol) && packet.depth == Depth::kTransport &&
                        is_icmp_error(packet.protocol, packet.icmp_type);
  const bool reaches_backends = is_service_transport(packet.protocol) || is_error;
  const bool kept = peer.service_kept || !reaches_backends;
  return {kept, kept ? Rule::kServiceViewKept : Rule::kServiceView};
}

bool Engine::is_front_end(std::uint8_t protocol, const End& remote, AddressFacts facts) const {
  if (!(facts.front_end || facts.node) || config_.service_view == ServiceView::kAlways)
    return false;
  const TransportSet& front_ends = tapped_->front_ends;
  if (facts.front_end && front_ends.contains({remote.address, protocol, remote.port})) return true;
  const net::IpAddress any = remote.address.is_v4() ? net::IpAddress::v4(0) : net::IpAddress{};
  return facts.node && front_ends.contains({any, protocol, remote.port});
}

/// Whether the backends' taps forward this packet, which the pod exchanges with a node, or with an
/// external address of a Service.
bool Engine::is_front_end_view(const PacketView& packet, const Flow& flow, AddressFacts facts) {
  if (packet.fragment && !packet.first_fragment) {
    const Decision* const first = fragments_.find(fragment_key(packet));
    return first != nullptr && first->rule == Rule::kServiceView;
  }
  if (packet.depth != Depth::kTransport || !is_front_end(packet.protocol, flow.remote, facts))
    return false;
  if (packet.fragment) fragments_.remember(fragment_key(packet), {false, Rule::kServiceView});
  return true;
}

}  // namespace sidetap::ownership
