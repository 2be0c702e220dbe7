// Caches what the configuration says about an address, so that an established flow needs no prefix
// look-ups.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shared/net/ip_address.h"

namespace sidetap::ownership {

struct AddressFacts {
  bool self : 1 = false;
  bool group : 1 = false;  ///< Multicast, limited broadcast, or broadcast of the pod's own subnets.
  bool routed : 1 = false;        ///< A gateway, or beyond one.
  bool gateway : 1 = false;       ///< A next hop of the pod without a tap.
  bool service : 1 = false;       ///< A cluster IP.
  bool service_kept : 1 = false;  ///< A cluster IP whose views are owned.
  bool tapped : 1 = false;        ///< In the set of tapped peers.
  bool older : 1 = false;         ///< Its tap applies rules 1.
  bool client_owned : 1 = false;  ///< Has endpoints whose clients own the flow.
  bool front_end : 1 = false;     ///< Has front ends of tapped Services, by its own address.
  bool node : 1 = false;          ///< Has those that every node has.
  bool known : 1 = false;         ///< Set by AddressBook.
};

/// Small and direct-mapped: an address that another has displaced is looked up again. For one
/// thread.
class AddressBook {
 public:
  explicit AddressBook(std::uint64_t seed) : seed_(seed) {}

  /// The cached facts, or those that `look_up(address)` returns.
  template <typename LookUp>
  AddressFacts find(const net::IpAddress& address, LookUp look_up) {
    Entry& entry = entries_[index_of(address)];
    if (!entry.facts.known || entry.address != address) [[unlikely]]
      renew(entry, address, look_up);
    return entry.facts;
  }

  /// Call it when the configuration has changed.
  void forget() { entries_.fill(Entry{}); }

 private:
  static constexpr unsigned kIndexBits = 10;
  struct Entry {
    net::IpAddress address;
    AddressFacts facts;
  };

  template <typename LookUp>
  [[gnu::noinline]] static void renew(Entry& entry, const net::IpAddress& address, LookUp look_up) {
    entry.address = address;
    entry.facts = look_up(address);
    entry.facts.known = true;
  }

  std::size_t index_of(const net::IpAddress& address) const {
    const std::uint64_t h =
        (address.low() ^ std::rotl(address.high(), 29) ^ seed_) * 0x9e3779b97f4a7c15ULL;
    return h >> (64 - kIndexBits);
  }

  std::uint64_t seed_;
  std::array<Entry, std::size_t{1} << kIndexBits> entries_{};
};

}  // namespace sidetap::ownership
