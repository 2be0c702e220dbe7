#include "sidecar/ownership/flow_table.h"

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>

#include "sidecar/packet/fold_product.h"

namespace sidetap::ownership {
namespace {

constexpr std::uint64_t kEveryByte = 0x0101010101010101ULL;
constexpr std::uint64_t kEveryTopBit = 0x8080808080808080ULL;

/// Uses calloc, so that unused pages are never touched. A set of zeros is free.
template <typename T>
T* zeroed(std::size_t count) {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  void* memory = std::calloc(count, sizeof(T));
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

}  // namespace

FlowTable::FlowTable(std::size_t capacity, std::uint64_t seed)
    : set_mask_(std::bit_ceil(std::max(capacity, kWays)) / kWays - 1),
      seed_(seed),
      tags_(zeroed<std::uint64_t>(set_mask_ + 1)),
      slots_(zeroed<Slot>(this->capacity())) {}

FlowTable::Place FlowTable::place_of(const FlowKey& key) const {
  const std::uint64_t ports = std::uint64_t{key.local_port} << 16 | key.remote_port;
  std::uint64_t h =
      fold_product(key.remote.low() ^ ports << 32 ^ seed_, key.local.low() ^ std::rotl(seed_, 32));
  if (!key.remote.is_v4()) {
    h = fold_product(h ^ key.remote.high() ^ ports << 7,
                     key.local.high() ^ std::rotl(seed_, 17) ^ kEveryByte);
  }
  return {h & set_mask_, 0x80 | h >> 57};
}

FlowTable::Slot* FlowTable::find_at(const Place& place, const FlowKey& key) const {
  Slot* const set = &slots_[place.set * kWays];
  // Sets are rarely crowded, so the first slot is likely the right one: it loads in parallel with
  // the tags.
  __builtin_prefetch(set);
  // Equal bytes become zero, and zero bytes get their top bit. A borrow may also mark a byte above
  // a match; the comparison of keys rejects it.
  const std::uint64_t differing = tags_[place.set] ^ (kEveryByte * place.tag);
  std::uint64_t marks = (differing - kEveryByte) & ~differing & kEveryTopBit;
  for (; marks != 0; marks &= marks - 1) {
    Slot& slot = set[std::countr_zero(marks) / 8];
    if (slot.key == key) return &slot;
  }
  return nullptr;
}

FlowState* FlowTable::find(const FlowKey& key) {
  Slot* const slot = find_at(place_of(key), key);
  if (slot == nullptr) return nullptr;
  slot->used = ++clock_;
  return &slot->state;
}

FlowPhase FlowTable::phase_of(const Slot& slot) {
  const FlowState& s = slot.state;
  if (s.reset || (s.fin_from_local && s.fin_from_remote)) return FlowPhase::kClosed;
  return s.settled ? FlowPhase::kOpen : FlowPhase::kOpening;
}

std::size_t FlowTable::way_to_give(const Slot* set) const {
  std::size_t given = 0;
  for (std::size_t i = 1; i < kWays; ++i) {
    const FlowPhase mine = phase_of(set[i]);
    const FlowPhase least = phase_of(set[given]);
    // Differences of ticks stay correct when the clock wraps.
    if (mine < least || (mine == least && clock_ - set[i].used > clock_ - set[given].used)) {
      given = i;
    }
  }
  return given;
}

FlowState& FlowTable::obtain(const FlowKey& key) {
  const Place place = place_of(key);
  if (Slot* const slot = find_at(place, key)) {
    slot->used = ++clock_;
    return slot->state;
  }
  Slot* const set = &slots_[place.set * kWays];
  std::uint64_t& tags = tags_[place.set];
  std::size_t way = 0;
  if (const std::uint64_t free = ~tags & kEveryTopBit; free != 0) {
    way = static_cast<std::size_t>(std::countr_zero(free)) / 8;
    ++size_;
  } else {
    way = way_to_give(set);
    ++evictions_[static_cast<unsigned>(phase_of(set[way]))];
  }
  tags = (tags & ~(std::uint64_t{0xff} << way * 8)) | place.tag << way * 8;
  set[way] = Slot{key, FlowState{}, ++clock_};
  return set[way].state;
}

}  // namespace sidetap::ownership
