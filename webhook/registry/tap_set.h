// The set of addresses of forwarding taps, and its changes. Pure.
//
// An address belongs to the newest connection that has claimed it. Pods die silently and their
// addresses are reused, so an older connection's claim is void. An entry ends with its connection.
// Changes accumulate until flush(), which combines them into one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/registry/messages.h"
#include "webhook/registry/bounded_list.h"

namespace sidetap::webhook::registry {

/// Increases: a newer connection has a greater ID.
using ConnectionId = std::uint64_t;

class TapSet {
 public:
  /// Sets the state of a connection's tap, and replaces the previous one. `rules` is the newest set
  /// of ownership rules that the tap applies.
  void update(ConnectionId connection, const std::vector<net::IpAddress>& addresses,
              bool forwarding, std::uint64_t rules = sidetap::registry::kRules);
  void remove(ConnectionId connection);

  /// Is there anything that flush() would publish?
  bool changed() const { return taps_.changed() || older_.changed(); }
  /// Adds what has changed since the last call to the lists `taps` and `older` of `into`. Returns
  /// false when it comes to nothing.
  bool flush(sidetap::registry::Change& into);
  /// The set at the last flush().
  const std::set<net::IpAddress>& published() const { return taps_.published(); }
  /// The addresses of the taps that do not apply the newest rules, at the last flush().
  const std::set<net::IpAddress>& older() const { return older_.published(); }

  /// Addresses that do not fit into the lists.
  std::size_t left_out() const { return taps_.left_out(); }
  std::size_t older_left_out() const { return older_.left_out(); }
  std::size_t connections() const { return connections_.size(); }
  std::size_t forwarding() const { return forwarding_; }

 private:
  struct Entry {
    std::vector<net::IpAddress> addresses{};
    bool forwarding = false;
    std::uint64_t rules = 0;
  };

  void review(const net::IpAddress& address);
  void release(ConnectionId connection, const Entry& entry);

  std::unordered_map<ConnectionId, Entry> connections_;
  std::map<net::IpAddress, ConnectionId> owners_;
  BoundedList<net::IpAddress> taps_{sidetap::registry::kMostListedAddresses};
  BoundedList<net::IpAddress> older_{sidetap::registry::kMostListedAddresses};
  std::size_t forwarding_ = 0;
};

}  // namespace sidetap::webhook::registry
