// Decides whether this tap forwards a packet, so that the sensor gets each packet exactly once.
//
// Both taps of a packet apply the same rules to what they see and reach opposite decisions, without
// negotiation. The engine does no I/O and has no clock. Its memory is bounded and allocated once.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "shared/net/cidr.h"
#include "sidecar/ownership/address_book.h"
#include "sidecar/ownership/flow_table.h"
#include "sidecar/ownership/fragment_table.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/ownership/neighbours.h"
#include "sidecar/ownership/rules.h"
#include "sidecar/ownership/server_rules.h"
#include "sidecar/ownership/service_views.h"
#include "sidecar/ownership/tapped_peers.h"
#include "sidecar/packet/own_endpoint.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::ownership {

/// The identity of this pod. May change at run time.
struct Self {
  std::vector<net::IpAddress> addresses;  ///< Of every interface, including link-local ones.
  std::array<std::byte, 6> mac{};         ///< Of the tapped interface. All zero: none.
  /// MAC addresses of all interfaces that nobody else on the link uses. This pod sent every frame
  /// from them, even if a bridge has translated the IP addresses.
  std::vector<std::array<std::byte, 6>> senders;
  std::vector<net::IpAddress> broadcasts;  ///< Of the interface's own IPv4 subnets.
  /// The interface's own subnets, without link-local ones. What is outside of them is beyond a
  /// gateway, unless EngineConfig::pod_subnets says more.
  net::CidrSet on_link;
  friend bool operator==(const Self&, const Self&) = default;
};

struct EngineConfig {
  Self self;
  net::CidrSet pod_subnets;  ///< May lack a family or be empty: then Self::on_link takes its place.
  std::vector<net::IpAddress> gateways;  ///< Next hops of the pod: nodes.
  /// May lack a family or be empty: then only the addresses that the registry names are Services.
  net::CidrSet service_subnets;
  net::CidrSet untapped_services;  ///< VIPs whose views are always owned.
  ServiceView service_view = ServiceView::kAuto;
  TappedPeers tapped_peers;
  bool peers_change = false;  ///< Peers may change: remembers all handshakes.
  PortRange ephemeral;
  std::vector<std::uint16_t> server_ports;  ///< Extra ports of UDP, UDP-Lite, SCTP, DCCP servers.
  std::vector<capture::OwnEndpoint> own_endpoints;
  std::size_t flow_capacity = 1U << 17;  ///< TCP flows; 48 bytes each, touched as needed.
  std::size_t fragment_capacity = 4096;  ///< Fragmented datagrams in flight.
  std::uint64_t hash_seed = 0x9e3779b97f4a7c15ULL;  ///< Random in production: peers choose ports.
};

/// decide(), is_left_to_peer(), forget_peers_before() and counters are for one thread, the packet
/// path; the setters may be called from any thread and take effect with the next packet, each in
/// one step.
class Engine {
 public:
  /// `listening` must outlive the engine and is called on the thread of decide().
  Engine(EngineConfig config, ListeningSockets& listening);

  /// `moment` is when the packet passed. It matters only while looks_back() is true.
  Decision decide(const capture::PacketView& packet, Moment moment = kNow);

  /// Does the other end's tap forward this packet while this pod's tap does not? By the newest
  /// peers. For whole packets and fragments that decide() has called owned; thread as there.
  bool is_left_to_peer(const capture::PacketView& packet);

  void set_self(Self self);
  void set_gateways(std::vector<net::IpAddress> gateways);
  /// Applies to packets that passed at `since` or later. The previous peers apply to earlier
  /// packets.
  void set_tapped_peers(std::shared_ptr<const TappedPeers> peers, Moment since = Moment::min());
  void set_own_endpoints(std::vector<capture::OwnEndpoint> endpoints);

  /// Whether earlier sets of peers are remembered, or may be with the next packet.
  bool looks_back() const { return earlier_peers_ || has_pending_.load(std::memory_order_acquire); }
  /// Drops earlier sets: no more packets come that passed before `moment`.
  void forget_peers_before(Moment moment);

  /// The numbers of TCP flows in the table, and of those evicted for lack of room, which are
  /// decided again if they continue. No flow is evicted because of its age.
  std::size_t flows() const { return flows_.size(); }
  std::uint64_t flow_evictions(FlowPhase phase) const { return flows_.evictions(phase); }
  std::uint64_t flow_evictions() const { return flows_.evictions(); }

 private:
  enum class Tapped : std::uint8_t { kUnknown, kYes, kNo };
  struct Flow {
    End local;
    End remote;
    bool outbound = false;  ///< The current packet goes from local to remote.
    bool older = false;     ///< The peer's tap applies rules 1.
    /// Either address has endpoints whose clients own the flow, and the peer's tap knows that.
    bool client_owned = false;
  };
  static FlowKey key_of(const Flow& flow) {
    return {flow.local.address, flow.remote.address, flow.local.port, flow.remote.port};
  }

  void adopt_pending();
  void choose_peers(Moment moment);
  AddressFacts facts_of(const net::IpAddress& address);
  AddressFacts look_up(net::IpAddress address) const;
  bool is_self(net::IpAddress address) const;
  bool is_gateway(net::IpAddress address) const;
  bool is_self_mac(const capture::PacketView& packet) const;
  bool is_echo(const capture::PacketView& packet) const;
  bool is_outside(net::IpAddress address) const;
  bool is_tapped(const capture::PacketView& packet, net::IpAddress peer, AddressFacts facts,
                 bool peer_sent);
  bool is_own(std::uint8_t protocol, const End& from, const End& to, bool ports_known) const;
  bool is_own_traffic(const capture::PacketView& packet) const;

  /// Learns the next hop of packets to `destination`.
  void learn_next_hop(const Mac& mac, AddressFacts destination);
  /// Learns an address that a host claims on the link. The source of other packets is less
  /// reliable: it may be behind a router, or translated on the bridge.
  void learn_claim(const Mac& mac, net::IpAddress address);
  /// Decides by the source MAC address if `source`, otherwise by the destination.
  Tapped is_tapped_by_mac(const capture::PacketView& packet, bool source);

  Decision decide_link(const capture::PacketView& packet);
  Decision decide_group(const capture::PacketView& packet, AddressFacts source);
  static Decision from_others(Tapped sender);
  Decision decide_service(const capture::PacketView& packet, AddressFacts peer) const;
  bool is_front_end(std::uint8_t protocol, const End& remote, AddressFacts facts) const;
  bool is_front_end_view(const capture::PacketView& packet, const Flow& flow, AddressFacts facts);
  /// Turns "local is the server" into "local owns".
  Decision owner(const Flow& flow, std::uint8_t protocol, Decision server) const;
  Decision client_or(const Flow& flow, std::uint8_t protocol, Decision server) const;
  /// Determines the server by `server_of(ports)`, a function of TappedPeers::server_ports, and the
  /// owner from that.
  template <typename ServerOf>
  Decision owner_by_ports(const Flow& flow, std::uint8_t protocol, ServerOf server_of) const;
  Decision datagram_owner(const Flow& flow, std::uint8_t protocol) const;
  static FragmentKey fragment_key(const capture::PacketView& packet);
  Decision decide_fragment(const capture::PacketView& packet, const Flow& flow);
  Decision decide_whole(const capture::PacketView& packet, const Flow& flow);
  Decision decide_tcp(const capture::PacketView& packet, const Flow& flow);
  Decision decide_tcp_handshake(const Flow& flow, FlowState& state, bool answer) const;
  Decision decide_tcp_midway(const Flow& flow, FlowState& state) const;
  Decision midway_server_of(const Flow& flow, const PortSet& ports) const;
  KnownServers known_servers(const Flow& flow, std::uint8_t protocol, const PortSet& ports) const;
  void remember(const capture::PacketView& packet, const Flow& flow);
  void remember_handshake(const capture::PacketView& packet, const Flow& flow);
  Decision decide_icmp(const capture::PacketView& packet, const Flow& flow);
  Decision decide_quote(const capture::PacketView& packet, const Flow& flow);

  EngineConfig config_;
  std::uint64_t own_ports_ = 0;  // see port_mask()
  ListeningSockets& listening_;
  PeerHistory peers_;
  const TappedPeers* tapped_;   // those for the current packet, in peers_
  bool earlier_peers_ = false;  // peers_ has older ones
  bool in_the_past_ = false;    // tapped_ are older ones
  bool ports_change_ = false;   // tapped_ has former server ports
  AddressBook addresses_;       // by the newest
  FlowTable flows_;
  FragmentTable fragments_;
  Neighbours neighbours_;
  Mac last_next_hop_{};

  struct Pending {
    std::unique_ptr<Self> self;
    std::unique_ptr<std::vector<net::IpAddress>> gateways;
    std::vector<PeersSince> peers;  // in the order in which they were set
    std::unique_ptr<std::vector<capture::OwnEndpoint>> own;
  };
  std::atomic<bool> has_pending_{false};
  std::mutex pending_mutex_;
  Pending pending_;  // guarded by pending_mutex_
};

}  // namespace sidetap::ownership
