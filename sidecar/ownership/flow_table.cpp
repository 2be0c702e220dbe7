#include "sidecar/ownership/flow_table.h"

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>

namespace sidetap::ownership {
namespace {

std::uint64_t mix(std::uint64_t h) {
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  return h ^ (h >> 29);
}

}  // namespace

FlowTable::FlowTable(std::size_t capacity, std::uint64_t seed)
    : set_mask_(std::bit_ceil(std::max(capacity, kWays)) / kWays - 1), seed_(seed) {
  static_assert(std::is_trivially_copyable_v<Slot> && std::is_trivially_destructible_v<Slot>);
  // calloc, so that the pages of flows that never come are never touched; all zero is a free slot.
  void* memory = std::calloc(this->capacity(), sizeof(Slot));
  if (memory == nullptr) throw std::bad_alloc();
  slots_.reset(static_cast<Slot*>(memory));
}

FlowTable::Slot* FlowTable::set_of(const FlowKey& key) const {
  const std::uint64_t ports = std::uint64_t{key.local_port} << 16 | key.remote_port;
  std::uint64_t h = mix(seed_ ^ key.remote.low() ^ (ports << 13));
  h = mix(h ^ key.local.low() ^ (ports << 31));
  if (!key.remote.is_v4()) h = mix(h ^ key.remote.high() ^ std::rotl(key.local.high(), 17));
  return &slots_[(h & set_mask_) * kWays];
}

std::uint32_t FlowTable::tick() {
  if (++clock_ == 0) clock_ = 1;
  return clock_;
}

FlowState* FlowTable::find(const FlowKey& key) {
  Slot* set = set_of(key);
  for (std::size_t i = 0; i < kWays; ++i) {
    if (set[i].used != 0 && set[i].key == key) {
      set[i].used = tick();
      return &set[i].state;
    }
  }
  return nullptr;
}

unsigned FlowTable::worth(const Slot& slot) const {
  if (slot.used == 0) return 0;
  const FlowState& s = slot.state;
  if (s.reset || (s.fin_from_local && s.fin_from_remote)) return 1;
  return s.settled ? 3 : 2;
}

FlowState& FlowTable::obtain(const FlowKey& key) {
  Slot* set = set_of(key);
  Slot* victim = set;
  for (std::size_t i = 0; i < kWays; ++i) {
    Slot& slot = set[i];
    if (slot.used != 0 && slot.key == key) {
      slot.used = tick();
      return slot.state;
    }
    const unsigned mine = worth(slot);
    const unsigned least = worth(*victim);
    // Differences of ticks stay right when the clock wraps.
    if (mine < least || (mine == least && clock_ - slot.used > clock_ - victim->used)) {
      victim = &slot;
    }
  }
  victim->used == 0 ? ++size_ : ++evictions_;
  *victim = Slot{key, FlowState{}, tick()};
  return victim->state;
}

}  // namespace sidetap::ownership
