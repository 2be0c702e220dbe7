// The peers whose taps forward, and which of them did so when. Pure: time comes in.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/ip_address.h"

namespace sidetap::ownership {

/// Immutable; replaced whole.
struct TappedPeers {
  net::CidrSet prefixes{};  ///< Gateways within are not tapped: they are nodes.
  net::CidrSet hosts{};     ///< Named one by one: tapped whatever they are.
  /// Services of which every backend is tapped: their views are dropped, all others kept. Nothing:
  /// it is not known, and ServiceView::kAuto goes by whether anybody is tapped.
  std::optional<net::CidrSet> tapped_services{};

  static TappedPeers none() { return {}; }
  static TappedPeers all(std::span<const net::Cidr> pod_subnets);
  static TappedPeers list(std::span<const net::CidrSet::Rule> rules);
  static TappedPeers named(std::span<const net::IpAddress> hosts);

  bool contains(net::IpAddress address, bool is_gateway) const {
    return hosts.contains(address) || (!is_gateway && prefixes.contains(address));
  }
  bool empty() const { return prefixes.empty() && hosts.empty(); }
};

/// A point in time on the steady clock. The kernel stamps packets by the wall clock, which can be
/// set: whoever has a packet translates its stamp.
using Moment = std::chrono::steady_clock::time_point;

/// The moment of a packet without a stamp: the newest peers decide.
inline constexpr Moment kNow = Moment::max();

struct PeersSince {
  std::shared_ptr<const TappedPeers> peers;
  Moment since;
};

/// The newest set of peers, and a few before it. A packet is read some time after it passed, and
/// belongs to the set of the moment when it passed: the peers' taps decided by that one. One
/// thread.
class PeerHistory {
 public:
  /// Sets that are remembered beside the newest. Where more than these changed, the oldest of them
  /// stands for all that were before it.
  static constexpr std::size_t kMostOlder = 4;

  explicit PeerHistory(std::shared_ptr<const TappedPeers> first);

  /// From that moment on these are the peers, whatever was said of later moments before.
  void add(PeersSince next);
  /// Drops the sets that held only before `moment`.
  void forget_before(Moment moment);

  const TappedPeers& newest() const { return *sets_.back().peers; }
  const TappedPeers& at(Moment moment) const;
  bool has_older() const { return sets_.size() > 1; }

 private:
  std::vector<PeersSince> sets_;  // ascending by `since`, never empty
};

}  // namespace sidetap::ownership
