// Which peers are tapped, by the word of every replica of the registry. Pure: time comes in.
//
// Leans to one side: a peer that is wrongly held for tapped loses packets, one that is wrongly held
// for untapped only doubles them. So what is taken out counts at once, what a replica said ends
// with its connection, and when all are away the word of the last holds for a grace only, from when
// it was heard of.
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
  /// False: the change does not build on what this replica said before. A snapshot has to be asked
  /// for; until it comes nothing is added.
  bool apply(const Replica& replica, const Change& change);
  /// Its connection has ended; `heard` is when it was there for the last time.
  void lost(const Replica& replica, Time heard);

  /// When the last word of replicas that are all away ends; nothing while one answers.
  std::optional<Time> deadline() const;
  /// Call it at the deadline. True: the peers have changed.
  bool expire(Time now);

  /// Ascending, each once.
  std::vector<net::IpAddress> peers() const;
  /// Services of which every backend is tapped, ascending, each once: those of which every replica
  /// that answers says so, since a view that is wrongly dropped is lost. So there are none while
  /// one replica tells of Services and another does not. Nothing: none of them tells.
  std::optional<std::vector<net::IpAddress>> services() const;
  /// Does any replica that answers still hold one of these for tapped?
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
  Said kept_;  // of the last replica to go, while none answers
  std::optional<Time> kept_until_;
};

}  // namespace sidetap::registry
