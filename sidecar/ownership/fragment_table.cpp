#include "sidecar/ownership/fragment_table.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace sidetap::ownership {

FragmentTable::FragmentTable(std::size_t capacity, std::uint64_t seed)
    : seed_(seed), slots_(std::bit_ceil(std::max(capacity, kWays))) {}

std::size_t FragmentTable::first_slot(const FragmentKey& key) const {
  const std::hash<net::IpAddress> hash;
  std::uint64_t h = seed_ ^ hash(key.source) ^ std::rotl(std::uint64_t{hash(key.destination)}, 21);
  h ^= (std::uint64_t{key.id} << 8 | key.protocol) * 0x9fb21c651e98df25ULL;
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  return ((h >> 20) & (slots_.size() / kWays - 1)) * kWays;
}

void FragmentTable::remember(const FragmentKey& key, Decision decision) {
  const std::size_t first = first_slot(key);
  Slot* place = &slots_[first];
  for (std::size_t i = 0; i < kWays; ++i) {
    Slot& slot = slots_[first + i];
    if (slot.born != 0 && slot.key == key) {
      place = &slot;
      break;
    }
    if (slot.born < place->born) place = &slot;
  }
  *place = Slot{key, decision, ++clock_};
}

const Decision* FragmentTable::find(const FragmentKey& key) const {
  const std::size_t first = first_slot(key);
  for (std::size_t i = 0; i < kWays; ++i) {
    const Slot& slot = slots_[first + i];
    if (slot.born != 0 && slot.key == key) return &slot.decision;
  }
  return nullptr;
}

}  // namespace sidetap::ownership
