// Delays changes of a list until they have stood for a while. Pure.
//
// Taps learn of a change at different times, and a tap that has just been listed may still have
// older packets to read, decided before it forwarded. If a peer left packets to it at once, it
// would rely on it too early. So a change that makes this tap own packets counts at once, and one
// that makes it leave packets to another tap counts late. For some lists the latter is an addition,
// for others a removal.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/net/transport_address.h"
#include "sidecar/registry/sorted_lists.h"

namespace sidetap::registry {

/// How long a change must stand before it counts. 0: it counts at once.
struct SettlingDelays {
  std::chrono::milliseconds additions{0};
  std::chrono::milliseconds removals{0};
};

/// `Item` is net::IpAddress or net::TransportAddress.
template <typename Item>
class Settling {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Settling(SettlingDelays delays) : delays_(delays) {}

  /// `listed` is the current list. Returns true if list() has changed.
  bool update(const SharedList<Item>& listed, Time now);
  /// The list that counts.
  const SharedList<Item>& list() const { return counting_; }
  /// When update() will let more changes count; nothing if only a change of the list does.
  std::optional<Time> due() const { return due_; }

 private:
  struct Waiting {
    Item item;
    Time due;
  };
  /// What counts from now on. `changed` becomes true if that is not what counted until now.
  std::vector<Item> settled(const std::vector<Item>& listed, Time now, bool& changed);

  SettlingDelays delays_;
  SharedList<Item> listed_ = shared_list<Item>();
  SharedList<Item> counting_ = shared_list<Item>();
  std::vector<Waiting> waiting_;  // ascending by item
  std::optional<Time> due_;       // the earliest of waiting_
};

extern template class Settling<net::IpAddress>;
extern template class Settling<net::TransportAddress>;

}  // namespace sidetap::registry
