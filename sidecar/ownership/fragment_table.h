// Remembers the decisions for first fragments, because later fragments carry no ports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/ownership/rules.h"

namespace sidetap::ownership {

struct FragmentKey {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint32_t id = 0;
  std::uint8_t protocol = 0;  ///< Only for IPv4.
  friend bool operator==(const FragmentKey&, const FragmentKey&) = default;
};

/// Has a fixed size: a new datagram replaces the oldest in a set of four. If a datagram was
/// replaced too early, its later fragments are decided by their addresses.
class FragmentTable {
 public:
  /// `capacity` is rounded up to a power of two, at least 4.
  FragmentTable(std::size_t capacity, std::uint64_t seed);

  void remember(const FragmentKey& key, Decision decision);
  /// Null if no first fragment was seen.
  const Decision* find(const FragmentKey& key) const;

 private:
  static constexpr std::size_t kWays = 4;
  struct Slot {
    FragmentKey key;
    Decision decision;
    std::uint64_t born = 0;  // 0: free
  };
  std::size_t first_slot(const FragmentKey& key) const;

  std::uint64_t seed_;
  std::uint64_t clock_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace sidetap::ownership
