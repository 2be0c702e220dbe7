// The set of addresses of forwarding taps, and its changes. Pure.
//
// An address belongs to the newest connection that has claimed it. Pods die silently and their
// addresses are reused, so an older connection's claim is void. An entry ends with its connection.
// Changes accumulate until flush(), which combines them into one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::webhook::registry {

/// Increases: a newer connection has a greater ID.
using ConnectionId = std::uint64_t;

/// The difference between two sets. The lists are ascending and disjoint.
struct AddressChange {
  std::vector<net::IpAddress> add;
  std::vector<net::IpAddress> remove;
};

class TapSet {
 public:
  /// Sets the state of a connection's tap, and replaces the previous one.
  void update(ConnectionId connection, const std::vector<net::IpAddress>& addresses,
              bool forwarding);
  void remove(ConnectionId connection);

  /// Is there anything that flush() would publish?
  bool changed() const;
  /// Publishes what has changed since the last call; nothing when it comes to nothing.
  std::optional<AddressChange> flush();
  /// The set at the last flush().
  const std::set<net::IpAddress>& published() const { return published_; }

  std::size_t connections() const { return connections_.size(); }
  std::size_t forwarding() const { return forwarding_; }

 private:
  struct Entry {
    std::vector<net::IpAddress> addresses;
    bool forwarding = false;
  };

  bool is_member(const net::IpAddress& address) const;
  void release(ConnectionId connection, const Entry& entry);

  std::unordered_map<ConnectionId, Entry> connections_;
  std::map<net::IpAddress, ConnectionId> owners_;
  std::set<net::IpAddress> published_;
  std::set<net::IpAddress> touched_;  ///< Since the last flush().
  std::size_t forwarding_ = 0;
};

}  // namespace sidetap::webhook::registry
