// Which addresses belong to forwarding taps, and how that changes. Pure.
//
// An address belongs to the newest connection that has named it: pods die silently and their
// addresses are used again, so an older connection's word about it is void. An entry ends with its
// connection. Changes gather until flush(), which makes one of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "shared/net/ip_address.h"

namespace sidetap::webhook::registry {

/// Grows with time: of two connections the newer has the greater one.
using ConnectionId = std::uint64_t;

/// What makes one set into the next. Ascending; none is in both lists.
struct AddressChange {
  std::vector<net::IpAddress> add;
  std::vector<net::IpAddress> remove;
};

class TapSet {
 public:
  /// What a connection says of its tap; takes the place of what it said before.
  void update(ConnectionId connection, const std::vector<net::IpAddress>& addresses,
              bool forwarding);
  void remove(ConnectionId connection);

  /// Is there anything that flush() would publish?
  bool changed() const;
  /// Publishes what has changed since the last call; nothing when it comes to nothing.
  std::optional<AddressChange> flush();
  /// By the last flush().
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
