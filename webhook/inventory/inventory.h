// What each tap says about itself: its latest report, and its last minutes. Pure: the caller says
// what time it is.
//
// A tap stays for a while after its connection has ended, so that it is seen that it has gone. Two
// connections of one pod are one tap: the newest speaks for it.
//
// Use it on one thread. Memory: about 8 KiB for each tap.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/registry/messages.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::inventory {

using identity::ConnectionId;
/// Wall-clock time (UTC).
using identity::Time;

/// The totals of a report, when they were told.
struct Sample {
  Time at{};
  std::uint64_t seen = 0, seen_bytes = 0;
  std::uint64_t forwarded = 0, forwarded_bytes = 0;
  std::uint64_t lost = 0;
};

/// What flows now, from the last two reports.
struct Rates {
  double seen_packets = 0, seen_bytes = 0;            ///< A second.
  double forwarded_packets = 0, forwarded_bytes = 0;  ///< A second.
  double lost_packets = 0;                            ///< A second.
};

enum class Standing : std::uint8_t {
  kForwarding,  ///< Its packets reach the sensors now.
  kPaused,      ///< It has sessions, and follows an order to forward nothing.
  kNoSensor,    ///< Connected to the registry, and not forwarding.
  kGone,        ///< Its connection has ended without a word, and has not come back.
  kEnded,       ///< It has left in order.
};
inline constexpr std::size_t kStandings = 5;
/// "forwarding", "paused", "no-sensor", "gone" or "ended"; a static string.
std::string_view name_of(Standing standing);

/// What the registry told a tap last.
struct Orders {
  std::uint64_t generation = 0;
  std::string profile{};
  bool paused = false;
  friend bool operator==(const Orders&, const Orders&) = default;
};

struct Tap {
  identity::Pod pod{};
  std::vector<net::IpAddress> addresses{};  ///< As proved.
  bool forwarding = false;
  std::uint64_t rules = 0;  ///< The newest ownership rules that it applies.
  std::optional<sidetap::registry::Report> report{};  ///< Nothing: an older tap, or none has come.
  /// Nothing: it takes none, or has not been told any.
  std::optional<Orders> orders{};
  Time since{};                    ///< Since then it is connected, or was.
  std::optional<Time> reported{};  ///< When `report` came.
  std::optional<Time> ended{};     ///< When its last connection ended; nothing while it is there.
  bool left = false;               ///< It had said before that it does not forward.
  std::deque<Sample> history{};    ///< Oldest first, one for each interval.

  Standing standing() const;
  /// Whether it applies what it was told, or something newer. True for one without orders.
  bool follows() const;
  /// Zero when it has gone, and before its second report.
  Rates rates() const;
  /// Owned packets that did not reach a sensor within the history, by the totals of the reports.
  std::uint64_t recently_lost() const;
};

struct InventoryConfig {
  std::chrono::milliseconds history = std::chrono::minutes(15);
  /// About how often a sample is kept. Reports that come between only renew the newest one.
  std::chrono::milliseconds interval{10'000};
  /// A tap is forgotten this long after its end.
  std::chrono::milliseconds keep = std::chrono::minutes(15);
  std::size_t most_taps = 25'000;  ///< If there are more, those that ended first are forgotten.
};

class Inventory {
 public:
  /// The namespace and the name of a pod.
  using Name = std::pair<std::string, std::string>;

  explicit Inventory(InventoryConfig config = {});

  // What happens. A pod without a UID is known by its namespace and name. One without a name gets
  // its first address for a name, or else "connection-ID".

  /// The connection has said hello or a new state. Its pod does not change.
  void stated(ConnectionId connection, const identity::Pod& pod,
              std::vector<net::IpAddress> addresses, bool forwarding, std::uint64_t rules,
              Time now);
  // These do nothing for a connection that has not stated anything, or that is not the newest of
  // its pod.

  /// The connection was told settings.
  void ordered(ConnectionId connection, Orders orders);
  /// Counts that went back are those of a new process: the history begins anew.
  void reported(ConnectionId connection, sidetap::registry::Report report, Time now);
  void ended(ConnectionId connection, Time now);
  /// Forgets what ended too long ago. Call it now and then.
  void expire(Time now);

  /// By pod; a pod that was replaced under the same name is there twice while the old one is kept,
  /// and the newest comes last.
  const std::multimap<Name, Tap>& taps() const { return taps_; }
  /// The newest of that name; null if there is none.
  const Tap* find(const Name& name) const;
  /// By namespace, name and UID; null if there is none.
  const Tap* find_pod(const identity::Pod& pod) const;

 private:
  using Taps = std::multimap<Name, Tap>;
  struct Connection {
    std::string pod{};  ///< A key of pods_.
    Taps::iterator tap{};
  };

  Taps::iterator arrive(const Name& name, const identity::Pod& pod, Time now);
  /// Null if it does not speak for its pod.
  Tap* tap_of(ConnectionId connection);
  void sample(Tap& tap, Time now) const;
  void trim(Tap& tap, Time now) const;
  void forget_first();

  const InventoryConfig config_;
  Taps taps_;
  std::unordered_map<ConnectionId, Connection> connections_;
  /// The connections of each pod that is connected, ascending. By UID, or what stands for it.
  std::unordered_map<std::string, std::vector<ConnectionId>> pods_;
  /// Taps that have ended, by the time of their end.
  std::multimap<Time, Taps::iterator> ended_;
};

}  // namespace sidetap::webhook::inventory
