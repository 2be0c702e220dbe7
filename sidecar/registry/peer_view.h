// Combines the lists of all registry replicas. Pure: the caller supplies the time.
//
// Errs on the safe side: a packet that this tap wrongly leaves to another one is lost; a packet
// that it wrongly owns is only duplicated. So what makes this tap own counts as soon as one replica
// says so, and what makes it leave a packet to somebody else counts while every replica says so.
// Two kinds of lists result:
//   - An item of `services`, `nodes` or `front_ends`, or an endpoint of this pod in `client_owned`,
//     makes this tap leave packets. Every connected replica must list it. A replica that does not
//     know the list lists nothing.
//   - An item of `older`, or an endpoint of another pod in `client_owned`, makes this tap own. One
//     replica that lists it is enough.
// `taps` makes this tap leave packets, but replicas name a tap at different moments: one that lists
// it is enough, and a removal from the last one counts at once. After a missed change, removals
// from the first kind and from `taps` count, and additions to the second kind; the rest waits for
// the snapshot. `server_ports` move packets either way: one replica is enough, and every change
// counts, because the newest list is the one that other taps have.
//
// A replica's lists end with its connection. When no replica is connected, the lists of the last
// one stay valid only for a grace period, counted from the replica's last sign of life.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/registry/messages.h"
#include "sidecar/registry/sorted_lists.h"

namespace sidetap::registry {

/// What the replicas say together. A list is the same object as long as its content is the same.
struct CombinedLists {
  SharedList<net::IpAddress> taps = shared_list<net::IpAddress>();
  /// Taps to which rules 1 apply: those in `older` of a replica, and those that only replicas with
  /// rules 1 list.
  SharedList<net::IpAddress> older = shared_list<net::IpAddress>();
  SharedList<net::IpAddress> services = shared_list<net::IpAddress>();
  SharedList<net::IpAddress> nodes = shared_list<net::IpAddress>();
  /// For endpoints of other pods: those that any replica lists.
  SharedList<net::TransportAddress> client_owned_by_any = shared_list<net::TransportAddress>();
  /// For endpoints of this pod: those that every replica lists.
  SharedList<net::TransportAddress> client_owned_by_all = shared_list<net::TransportAddress>();
  SharedList<net::TransportAddress> server_ports = shared_list<net::TransportAddress>();
  SharedList<net::TransportAddress> front_ends = shared_list<net::TransportAddress>();
  /// Whether any replica knows Services. If not, `services` says nothing.
  bool knows_services = false;
};

class PeerView {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Names one connection to one replica.
  using Replica = std::string;

  explicit PeerView(std::chrono::milliseconds grace) : grace_(grace) {}

  void apply(const Replica& replica, Snapshot snapshot);
  /// Returns false if the change does not follow this replica's version. Request a snapshot; until
  /// it arrives, only what is safe counts.
  bool apply(const Replica& replica, const Change& change);
  /// The replica's connection has ended. `heard` is its last sign of life.
  void lost(const Replica& replica, Time heard);

  /// When the lists of the last replica expire; nothing while a replica is connected.
  std::optional<Time> deadline() const;
  /// Call it at the deadline. Returns true if the lists have changed.
  bool expire(Time now);

  const CombinedLists& lists() const { return lists_; }
  /// Whether any connected replica still lists one of these addresses as tapped.
  bool lists_any(std::span<const net::IpAddress> addresses) const;
  std::size_t replicas() const { return said_.size(); }

 private:
  /// Its lists are ascending, without repetitions.
  struct Said : Snapshot {
    bool gap = false;  // a change was missed
    /// As `lists.client_owned`, but after a gap, additions count instead of removals.
    TransportAddresses perhaps_client_owned{};
  };
  struct Kept {
    Said said;
    Time until;
  };

  /// The replicas that count.
  std::vector<const Said*> heard() const;
  Addresses older() const;
  /// Combines the lists that `change` touches. Null: all.
  void combine(const Change* change);

  std::chrono::milliseconds grace_;
  std::map<Replica, Said> said_;
  std::optional<Kept> kept_;  // from the last replica to disconnect, while none is connected
  CombinedLists lists_;
};

}  // namespace sidetap::registry
