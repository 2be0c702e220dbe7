// Which of many collectors a tap forwards to (SensorMode::kHash). Pure: the caller says what time
// it is, what the names resolve to, and what became of the one that it asked.
//
// A tap ranks all candidates by rendezvous hashing and wants the first that answers. So every tap
// has an order of its own, and the taps of one collector spread over all others when it goes. Only
// the taps of a collector that goes move, and only those that rank a new one first move to it.
//
// A candidate that fails rests for a growing time, with jitter. One that ranks before the collector
// that captures is tried again after its rest, so a tap comes back by itself. The caller keeps the
// present session until the new one captures.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/async/backoff.h"
#include "shared/net/ip_address.h"

namespace sidetap::session {

/// Where a collector answers.
struct CollectorPlace {
  net::IpAddress address{};
  std::uint16_t port = 0;
  friend auto operator<=>(const CollectorPlace&, const CollectorPlace&) = default;
  friend bool operator==(const CollectorPlace&, const CollectorPlace&) = default;
};

/// The rank of a place for a tap: the highest comes first. The same in every release and on every
/// machine: FNV-1a with 64 bits over the bytes of `tap`, a zero, the 16 bytes of the address
/// (IPv4 in its IPv4-mapped form) and the two of the port, both in network order; then the
/// finalizer of SplitMix64, because FNV-1a spreads the last bytes too little.
std::uint64_t collector_score(std::string_view tap, const CollectorPlace& place);

class CollectorChoice {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Of more places, those that rank first are candidates.
  static constexpr std::size_t kMostCandidates = 256;

  /// `tap` is the pod's address as text or, where none is known, its name. `rest` bounds how long
  /// a candidate rests that has failed.
  CollectorChoice(std::string tap, async::BackoffBounds rest) : tap_(std::move(tap)), rest_(rest) {}

  /// The places that are known now, in any order. One that is no longer among them is no candidate
  /// any more: if it captures, it stays until another one does.
  void list(const std::vector<CollectorPlace>& places);
  /// A capture of this place runs, and gets the packets from now on.
  void captures(const CollectorPlace& place, Time now);
  /// It cannot be reached, or its session has ended. `chance` is in [0, 1).
  void fails(const CollectorPlace& place, Time now, double chance);
  /// What captured there does so no longer, for no fault of this place.
  void left(const CollectorPlace& place);

  /// Where a session is wanted now. One that was asked for stays so until it captures, fails or is
  /// no candidate any more, whoever else has rested meanwhile. If every candidate rests and none
  /// captures, the last answer stays: its session dials again by itself. Nothing: no place is
  /// known.
  std::optional<CollectorPlace> choose(Time now);
  const std::optional<CollectorPlace>& capturing() const { return capturing_; }
  bool rests(const CollectorPlace& place, Time now) const;
  /// When choose() may say something else although nothing has happened. Nothing: never.
  std::optional<Time> changes_at(Time now) const;
  /// The candidates, the first choice in front.
  std::vector<CollectorPlace> ranking() const;

 private:
  struct Candidate {
    CollectorPlace place;
    std::uint64_t score;
    bool listed;
    async::Backoff backoff;
    Time rests_until{};
    Time since{};  ///< It captures, if it does.
  };

  Candidate* find(const CollectorPlace& place);
  const Candidate* find(const CollectorPlace& place) const;
  void drop_unlisted();
  /// Than the one that captures, if there is one.
  bool is_better(const CollectorPlace& place) const;

  const std::string tap_;
  const async::BackoffBounds rest_;
  std::vector<Candidate> candidates_;  ///< By rank.
  std::optional<CollectorPlace> capturing_;
  std::optional<CollectorPlace> asked_;
  bool trying_ = false;  // the one asked has neither captured nor failed yet
};

}  // namespace sidetap::session
