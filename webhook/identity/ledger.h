// The ledger of identities: which pod held an address, and when. Pure: the caller says what time it
// is.
//
// It holds what taps have proved and nothing that is inferred:
//   - An address belongs to the newest connection that has proved it, from the moment of the proof.
//     If that is another pod, the tenure of the previous pod ends then, or when that pod was last
//     heard.
//   - When a connection ends or no longer claims an address, the tenure ends too. The pod may live
//     on without its tap, or the address may be used again. So nobody is known to hold the address
//     until the next proof.
//   - A pod, known by its UID, that proves its address again within a while continues its tenure,
//     unless another pod has proved the address meanwhile.
// `from` is when the address was proved, so a pod may have held it a little earlier. A pod that
// dies silently is noticed after seconds, so an answer about the last seconds may still change.
//
// Use it on one thread. Memory: 250 bytes for each tenure, 300 for each connection and each pod, 80
// for each change that is kept.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::webhook::identity {

/// Wall-clock time (UTC).
using Time = std::chrono::sys_time<std::chrono::milliseconds>;
/// Increases: a newer connection has a greater ID.
using ConnectionId = std::uint64_t;

/// As the API server attests it.
struct Pod {
  std::string name_space{};
  std::string name{};
  std::string uid{};
  std::string node{};  ///< Empty: the API server does not say.
  friend bool operator==(const Pod&, const Pod&) = default;
};

/// A pod held an address from `from` on, and until before `to`.
struct Tenure {
  net::IpAddress address{};
  std::shared_ptr<const Pod> pod{};  ///< Never null.
  Time from{};
  std::optional<Time> to{};  ///< When it was last seen. Nothing: it holds the address now.
};

/// What the ledger knows about an address at one time.
struct Answer {
  enum class Kind {
    kHeld,       ///< `holder` held the address then.
    kUncertain,  ///< Nobody is known to have held it then. `last`, `next` or both are set.
    kUnknown,    ///< The ledger knows nothing of this address.
  };
  Kind kind = Kind::kUnknown;
  std::optional<Tenure> holder{};
  std::optional<Tenure> last{};  ///< The newest tenure that ended by then.
  std::optional<Tenure> next{};  ///< The oldest tenure that began later.

  bool is(Kind other) const { return kind == other; }
};

/// A pod that is connected, and what it holds now.
struct Tap {
  std::shared_ptr<const Pod> pod{};  ///< Never null.
  std::vector<Tenure> tenures{};     ///< By address. Empty: it has proved no address yet.
};

/// A place in the sequence of changes. Another run of the replica has another epoch.
struct Position {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;  ///< Of the last change that is known. 0: of none.
  friend bool operator==(const Position&, const Position&) = default;
};

/// A tenure began, ended or goes on after it had ended. It replaces the earlier state of the tenure
/// with the same address, UID and `from`. There is no change when a tenure is forgotten.
struct Change {
  std::uint64_t number = 0;  ///< Each is one more than the one before. The first is 1.
  Tenure tenure{};
};

struct LedgerConfig {
  std::uint64_t epoch = 1;
  /// A tenure is forgotten this long after its end.
  std::chrono::milliseconds keep = std::chrono::hours(24);
  /// Tenures, ended or not. If there are more, those that ended first are forgotten. If none has
  /// ended, a new one is left out.
  std::size_t most_tenures = 200'000;
  /// For so long after its end, the same pod continues a tenure.
  std::chrono::milliseconds continues = std::chrono::minutes(10);
  /// For readers that fall behind.
  std::size_t most_changes = 65'536;
  /// When a connection was last heard. Asked when another pod proves an address of a connection
  /// that is still open. None, or nothing: at that moment.
  std::function<std::optional<Time>(ConnectionId)> heard{};
};

class Ledger {
 public:
  explicit Ledger(LedgerConfig config);

  // What happens. If `now` is earlier than before, the ledger's time stands still until it is not.

  /// Sets the proved addresses of a connection, and replaces the previous ones. The pod of a
  /// connection does not change.
  void update(ConnectionId connection, const Pod& pod, const std::vector<net::IpAddress>& addresses,
              Time now);
  /// The connection has ended, and was last heard at `seen`.
  void end(ConnectionId connection, Time seen, Time now);
  /// Forgets what is too old. update() and end() do the same, so call it only if nothing happens.
  void expire(Time now);

  // What is known.

  /// A tenure that goes on answers for the future too.
  Answer ask(const net::IpAddress& address, Time at) const;
  /// All connected pods, by namespace, name and UID.
  std::vector<Tap> taps() const;
  /// Usually one. More while the connection of a deleted pod lingers and a pod with the same name
  /// is connected. Newest first.
  std::vector<Tap> taps_of(std::string_view name_space, std::string_view name) const;
  /// All tenures, by address, then by time.
  std::vector<Tenure> tenures() const;
  /// The newest tenure of each address, by address: those that go on, and those that did not end
  /// before `since`. Who looks up an address here without looking at times never takes an earlier
  /// holder for a later one.
  std::vector<Tenure> newest_tenures(Time since = Time::min()) const;

  // The sequence of changes. To follow the ledger, read position() and tenures() together, and then
  // the changes since that position.

  Position position() const { return {config_.epoch, number_}; }
  /// At most `most` changes that follow `position`, in order; empty if there are none. Nothing:
  /// they are not known anymore, or the position is not one of this ledger. Read all tenures again.
  std::optional<std::vector<Change>> changes_since(const Position& position,
                                                   std::size_t most) const;

  /// Grows whenever tenures() would say something else, also when a tenure is forgotten.
  std::uint64_t revision() const { return revision_; }
  std::size_t held() const { return tenures_.size() - ended_.size(); }
  std::size_t ended() const { return ended_.size(); }
  std::uint64_t changes() const { return number_; }
  /// Tenures that were forgotten before their time or left out, because there were too many.
  std::uint64_t dropped() const { return dropped_; }

 private:
  /// Orders the tenures of an address by time, also those that begin at the same moment.
  struct Key {
    net::IpAddress address{};
    Time from{};
    std::uint64_t serial = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  /// In the order in which they ended.
  using Ended = std::list<Key>;
  struct Entry {
    Tenure tenure{};
    ConnectionId connection = 0;  ///< The newest that has proved it.
    Ended::iterator ended{};      ///< If the tenure has ended.
  };
  using Entries = std::map<Key, Entry>;
  struct Connection {
    std::shared_ptr<const Pod> pod{};
    std::vector<net::IpAddress> addresses{};
    std::vector<net::IpAddress> lost{};  ///< To other pods.
  };

  void claim(ConnectionId id, Connection& connection, const net::IpAddress& address);
  void resume(ConnectionId id, Entry& entry);
  void take_away(Entries::iterator entry);
  void release(ConnectionId id, const net::IpAddress& address, Time seen);
  void finish(Entries::iterator entry, Time seen);
  /// Returns false if there is no room.
  bool begin(ConnectionId id, const Connection& connection, const net::IpAddress& address);
  bool make_room();
  void forget_oldest();
  void record(const Tenure& tenure);
  /// What the pod of these connections holds.
  Tap tap_of(const std::vector<ConnectionId>& connections) const;

  const LedgerConfig config_;
  Time now_{};
  Entries tenures_;
  Ended ended_;
  std::unordered_map<ConnectionId, Connection> connections_;
  std::uint64_t last_serial_ = 0;
  std::deque<Change> changes_;
  std::uint64_t number_ = 0;
  std::uint64_t revision_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace sidetap::webhook::identity
