// Remembers hosts on the link by their MAC addresses, for packets whose IP addresses do not
// identify the host: link-local IPv6, senders without an address, and frames without IP.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shared/net/ip_address.h"

namespace sidetap::ownership {

using Mac = std::array<std::byte, 6>;

struct Neighbour {
  Mac mac{};
  bool used : 1 = false;
  bool gateway : 1 = false;   ///< Has the address of a gateway of the pod.
  bool next_hop : 1 = false;  ///< Receives what the pod sends beyond the pod subnets.
  /// Addresses that it claims on the link (ARP, neighbour discovery), one per family. Unspecified:
  /// none.
  net::IpAddress v4;
  net::IpAddress v6;

  net::IpAddress& of_family(bool is_v4) { return is_v4 ? v4 : v6; }
};

/// Small, with a fixed size. A new neighbour replaces another, which is then unknown again. It may
/// use two slots, and avoids replacing a router in the first. For one thread.
class Neighbours {
 public:
  explicit Neighbours(std::uint64_t seed) : seed_(seed) {}

  /// The neighbour with this MAC address, created if unknown. The reference is valid until the next
  /// call.
  Neighbour& obtain(const Mac& mac) {
    if (const Neighbour* known = find(mac)) return const_cast<Neighbour&>(*known);
    Neighbour* place = &places_[index_of(mac)];
    if (place->used && (place->next_hop || place->gateway)) place = &places_[index_of(mac) ^ 1];
    *place = Neighbour{};
    place->mac = mac;
    place->used = true;
    return *place;
  }
  /// Null if unknown.
  const Neighbour* find(const Mac& mac) const {
    const std::size_t first = index_of(mac);
    for (const std::size_t index : {first, first ^ 1}) {
      if (places_[index].used && places_[index].mac == mac) return &places_[index];
    }
    return nullptr;
  }
  void forget() { places_.fill(Neighbour{}); }

 private:
  static constexpr unsigned kIndexBits = 9;

  std::size_t index_of(const Mac& mac) const {
    std::uint64_t h = seed_;
    for (const std::byte b : mac) h = (h ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3ULL;
    return (h * 0x9e3779b97f4a7c15ULL) >> (64 - kIndexBits);
  }

  std::uint64_t seed_;
  std::array<Neighbour, std::size_t{1} << kIndexBits> places_{};
};

}  // namespace sidetap::ownership
