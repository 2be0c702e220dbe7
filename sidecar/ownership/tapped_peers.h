// What is known of the cluster: the peers whose taps forward, and the Services, now and at earlier
// moments. Pure: the caller supplies the time.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/ip_address.h"
#include "sidecar/ownership/transport_set.h"

namespace sidetap::ownership {

/// Immutable; replaced whole.
struct TappedPeers {
  net::CidrSet prefixes{};  ///< Excludes gateways, which are nodes.
  net::CidrSet hosts{};     ///< Named individually: always tapped.
  /// Services whose backends are all tapped: their views are dropped, and all others are kept.
  /// Nothing: unknown, and ServiceView::kAuto depends on whether any peer is tapped.
  std::optional<net::CidrSet> tapped_services{};

  // The rest comes from the registry; see registry::Lists. Without it, all of it is empty.

  net::CidrSet older{};         ///< Peers whose taps apply rules 1: neither of the next two lists.
  TransportSet client_owned{};  ///< Endpoints whose clients' taps own the flow.
  PortSet server_ports{};       ///< Target ports of Services.
  /// The server ports until a moment ago. What either says is owned is owned. Nothing: the same.
  std::optional<PortSet> former_server_ports{};
  net::CidrSet nodes{};
  /// Other addresses of `tapped_services`. An unspecified address stands for every node's.
  TransportSet front_ends{};

  static TappedPeers none() { return {}; }
  static TappedPeers all(std::span<const net::Cidr> pod_subnets);
  static TappedPeers list(std::span<const net::CidrSet::Rule> rules);
  static TappedPeers named(std::span<const net::IpAddress> hosts);

  bool contains(net::IpAddress address, bool is_gateway) const {
    return hosts.contains(address) || (!is_gateway && prefixes.contains(address));
  }
  bool empty() const { return prefixes.empty() && hosts.empty(); }
};

/// A point in time on the steady clock. The kernel stamps packets with the wall clock, which can be
/// set, so callers convert a packet's time stamp.
using Moment = std::chrono::steady_clock::time_point;

/// The moment of a packet without a stamp: the newest peers decide.
inline constexpr Moment kNow = Moment::max();

struct PeersSince {
  std::shared_ptr<const TappedPeers> peers;
  Moment since;
};

/// The newest set of peers and a few earlier ones. A packet is read some time after it passed, but
/// the set at the moment when it passed applies, because the peers' taps decided by that one. For
/// one thread.
class PeerHistory {
 public:
  /// Number of remembered sets besides the newest. If there were more, the oldest remembered set
  /// stands for all earlier ones.
  static constexpr std::size_t kMostOlder = 4;

  explicit PeerHistory(std::shared_ptr<const TappedPeers> first);

  /// Sets the peers from `next.since` on. Replaces earlier statements about later moments.
  void add(PeersSince next);
  /// Drops the sets that applied only before `moment`.
  void forget_before(Moment moment);

  const TappedPeers& newest() const { return *sets_.back().peers; }
  const TappedPeers& at(Moment moment) const;
  bool has_older() const { return sets_.size() > 1; }

 private:
  std::vector<PeersSince> sets_;  // ascending by `since`, never empty
};

}  // namespace sidetap::ownership
