// Combines the lists of all registry replicas into the set of tapped peers. Pure: the caller
// supplies the time.
//
// Errs on the safe side: if a peer is wrongly considered tapped, packets are lost; if it is wrongly
// considered untapped, they are only duplicated. So removals count at once, and a replica's list
// ends with its connection. When no replica is connected, the last list stays valid only for a
// grace period, counted from the replica's last sign of life.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/registry/messages.h"

namespace sidetap::registry {

class PeerView {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Names one connection to one replica.
  using Replica = std::string;

  explicit PeerView(std::chrono::milliseconds grace) : grace_(grace) {}

  void apply(const Replica& replica, Snapshot snapshot);
  /// Returns false if the change does not follow this replica's version. Request a snapshot; until
  /// it arrives, nothing is added.
  bool apply(const Replica& replica, const Change& change);
  /// The replica's connection has ended. `heard` is its last sign of life.
  void lost(const Replica& replica, Time heard);

  /// When the list of the last replica expires; nothing while a replica is connected.
  std::optional<Time> deadline() const;
  /// Call it at the deadline. Returns true if the peers have changed.
  bool expire(Time now);

  /// Ascending, without repetitions.
  std::vector<net::IpAddress> peers() const;
  /// Services whose backends are all tapped, ascending, without repetitions. Every connected
  /// replica must list a Service, because a view that is wrongly dropped is lost. So the list is
  /// empty while one replica reports Services and another does not. Nothing: no replica reports
  /// Services.
  std::optional<std::vector<net::IpAddress>> services() const;
  /// Whether any connected replica still lists one of these addresses as tapped.
  bool lists_any(std::span<const net::IpAddress> addresses) const;
  std::size_t replicas() const { return said_.size(); }

 private:
  struct Said {
    std::uint64_t version = 0;
    bool gap = false;                                       // a change was missed
    std::vector<net::IpAddress> taps;                       // ascending, each once
    std::optional<std::vector<net::IpAddress>> services{};  // likewise
  };
  std::chrono::milliseconds grace_;
  std::map<Replica, Said> said_;
  Said kept_;  // from the last replica to disconnect, while none is connected
  std::optional<Time> kept_until_;
};

}  // namespace sidetap::registry
