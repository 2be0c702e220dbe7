// Decides whether this tap forwards a packet, so that the sensor gets each packet exactly once.
//
// Both taps of a packet apply the same rule to what they see and reach opposite answers; nothing is
// negotiated. The engine does no I/O and has no clock; its memory is bounded and allocated once.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "shared/net/cidr.h"
#include "sidecar/capture/own_endpoint.h"
#include "sidecar/capture/packet_view.h"
#include "sidecar/ownership/address_book.h"
#include "sidecar/ownership/flow_table.h"
#include "sidecar/ownership/fragment_table.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/ownership/rules.h"
#include "sidecar/ownership/server_rules.h"

namespace sidetap::ownership {

/// What becomes of a client's view of Service traffic, where the peer is a cluster IP.
enum class ServiceView : std::uint8_t {
  kAuto,    ///< Dropped where every backend is tapped; where that is not known, while anybody is.
  kNever,   ///< Dropped.
  kAlways,  ///< Kept; the pod view of the same packet comes from the backend too.
};

/// The peers whose taps forward. Immutable; replaced whole.
struct TappedPeers {
  net::CidrSet peers;
  /// Services of which every backend is tapped: their views are dropped, all others kept. Nothing:
  /// it is not known, and ServiceView::kAuto goes by whether anybody is tapped.
  std::optional<net::CidrSet> tapped_services{};

  static TappedPeers none() { return {}; }
  /// Everybody in the pod subnets but the gateways, which are nodes.
  static TappedPeers all(std::span<const net::Cidr> pod_subnets,
                         std::span<const net::IpAddress> gateways);
  static TappedPeers list(net::CidrSet set) { return {.peers = std::move(set)}; }
};

/// Who this pod is on the tapped interface. Changes at run time.
struct Self {
  std::vector<net::IpAddress> addresses;   ///< Link-local ones included.
  std::array<std::byte, 6> mac{};          ///< All zero: none.
  std::vector<net::IpAddress> broadcasts;  ///< Of the interface's own IPv4 subnets.
};

struct EngineConfig {
  Self self;
  net::CidrSet pod_subnets;
  std::vector<net::IpAddress> gateways;  ///< Next hops: hosts that are certainly no pods.
  net::CidrSet service_subnets;
  net::CidrSet untapped_services;  ///< VIPs whose views are owned whatever else is set.
  ServiceView service_view = ServiceView::kAuto;
  TappedPeers tapped_peers;
  PortRange ephemeral;
  std::vector<std::uint16_t> server_ports;  ///< Extra ports of UDP, UDP-Lite, SCTP, DCCP servers.
  std::vector<capture::OwnEndpoint> own_endpoints;
  std::size_t flow_capacity = 1U << 17;  ///< TCP flows; 48 bytes each, touched as needed.
  std::size_t fragment_capacity = 4096;  ///< Fragmented datagrams in flight.
  std::uint64_t hash_seed = 0x9e3779b97f4a7c15ULL;  ///< Random in production: peers choose ports.
};

/// decide() and counters are for one thread, the packet path; the setters may be called from any
/// thread and take effect with the next packet, each in one step.
class Engine {
 public:
  /// `listening` must outlive the engine and is called on the thread of decide().
  Engine(EngineConfig config, ListeningSockets& listening);

  Decision decide(const capture::PacketView& packet);

  void set_self(Self self);
  void set_tapped_peers(std::shared_ptr<const TappedPeers> peers);
  void set_own_endpoints(std::vector<capture::OwnEndpoint> endpoints);

  /// TCP flows held, and those given up for lack of room (decided anew when they go on).
  std::size_t flows() const { return flows_.size(); }
  std::uint64_t flow_evictions() const { return flows_.evictions(); }

 private:
  using Mac = std::array<std::byte, 6>;
  struct Flow {
    End local;
    End remote;
    bool outbound = false;  ///< The packet at hand goes from local to remote.
  };

  void adopt_pending();
  AddressFacts facts_of(const net::IpAddress& address);
  AddressFacts look_up(net::IpAddress address) const;
  bool is_self(net::IpAddress address) const;
  bool is_gateway(net::IpAddress address) const;
  bool is_self_mac(const capture::PacketView& packet) const;
  bool is_tapped(const capture::PacketView& packet, net::IpAddress peer, AddressFacts facts,
                 bool peer_sent) const;
  bool is_own(std::uint8_t protocol, const End& from, const End& to, bool ports_known) const;
  bool is_own_traffic(const capture::PacketView& packet) const;
  void learn_router(const capture::PacketView& packet);

  Decision decide_link(const capture::PacketView& packet) const;
  Decision decide_group(const capture::PacketView& packet, AddressFacts source) const;
  Decision decide_service(AddressFacts peer) const;
  bool keeps_view_of(net::IpAddress service) const;
  Decision decide_fragment(const capture::PacketView& packet, const Flow& flow);
  Decision decide_whole(const capture::PacketView& packet, const Flow& flow);
  Decision decide_tcp(const capture::PacketView& packet, const Flow& flow);
  Decision decide_tcp_midway(const Flow& flow, FlowState& state);
  Decision decide_icmp(const capture::PacketView& packet, const Flow& flow);
  Decision decide_quote(const capture::PacketView& packet, const Flow& flow);

  EngineConfig config_;
  std::uint64_t own_ports_ = 0;  // see port_mask()
  ListeningSockets& listening_;
  std::shared_ptr<const TappedPeers> tapped_;
  AddressBook addresses_;
  FlowTable flows_;
  FragmentTable fragments_;
  std::array<Mac, 4>
      routers_{};  ///< Senders of routed packets: no pods, whatever address they use.
  unsigned next_router_ = 0;

  struct Pending {
    std::unique_ptr<Self> self;
    std::shared_ptr<const TappedPeers> tapped;
    std::unique_ptr<std::vector<capture::OwnEndpoint>> own;
  };
  std::atomic<bool> has_pending_{false};
  std::mutex pending_mutex_;
  Pending pending_;  // under pending_mutex_
};

}  // namespace sidetap::ownership
