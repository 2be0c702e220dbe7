// What of the replicas' lists counts: without this pod, and with changes late or at once, whichever
// is safe. Pure.
//
// - Additions count after a delay, removals at once: `tapped`, `services`, `nodes`, `front_ends`,
//   and the endpoints of this pod in `client_owned`.
// - Additions count at once, removals after the delay: `older`, and the endpoints of other pods in
//   `client_owned`.
// - Server ports move packets either way. The newest list counts at once. Beside it counts the list
//   in which additions and removals are both late, that is, the newest list of a delay ago. So two
//   taps that learn of changes at most one delay apart always have one of their two lists in
//   common, and by that list one of them owns the packet. Exception: the two ports of a packet
//   change three times within twice the delay.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/registry/peer_view.h"
#include "sidecar/registry/settling.h"

namespace sidetap::registry {

/// The registry's lists at one moment, as far as they count. See registry::Lists for their meaning.
/// All are ascending, without repetitions.
struct Peers {
  Addresses tapped{};  ///< Without this pod.
  Addresses older{};   ///< Those of `tapped` to which rules 1 apply.
  /// Services whose backends are all tapped. Nothing: unknown.
  std::optional<Addresses> services{};
  Addresses nodes{};
  TransportAddresses client_owned{};
  TransportAddresses front_ends{};
  TransportAddresses server_ports{};
  /// The server ports until a moment ago, while packets may be decided by them: whoever owns a
  /// packet by either list owns it. Nothing: the same.
  std::optional<TransportAddresses> former_server_ports{};
  friend bool operator==(const Peers&, const Peers&) = default;
};

class SettledPeers {
 public:
  using Time = PeerView::Time;

  explicit SettledPeers(std::chrono::milliseconds delay);

  /// `own` are this pod's addresses. Returns true if now() has changed.
  bool update(const PeerView& view, const Addresses& own, Time time);
  /// Null before the first update.
  const std::shared_ptr<const Peers>& now() const { return now_; }
  /// When to call update() again without news from the registry; nothing if that is not needed.
  std::optional<Time> due() const;

 private:
  bool is_own(const net::IpAddress& address) const;
  /// Renews what depends on this pod's addresses, where it or they have changed.
  void separate(const CombinedLists& lists, const Addresses& own);
  Peers compose() const;

  // What was seen last, and what follows from it.
  Addresses own_;
  CombinedLists seen_;
  SharedList<net::IpAddress> others_ = shared_list<net::IpAddress>();  // `taps` without this pod
  /// This pod's endpoints in `client_owned_by_all`.
  SharedList<net::TransportAddress> own_endpoints_ = shared_list<net::TransportAddress>();

  Settling<net::IpAddress> tapped_, older_, services_, nodes_;
  Settling<net::TransportAddress> client_owned_here_, client_owned_elsewhere_, front_ends_;
  Settling<net::TransportAddress> former_server_ports_;
  std::shared_ptr<const Peers> now_;
};

}  // namespace sidetap::registry
