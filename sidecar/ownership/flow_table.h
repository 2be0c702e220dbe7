// A hash table of TCP flows with a fixed size, allocated once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>

#include "shared/net/ip_address.h"
#include "sidecar/ownership/rules.h"

namespace sidetap::ownership {

struct FlowKey {
  net::IpAddress local;
  net::IpAddress remote;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

/// What is known of a flow. All false: nothing yet.
struct FlowState {
  bool decided : 1 = false;  ///< `local_is_server` and `rule` are valid.
  bool local_is_server : 1 = false;
  bool syn_from_local : 1 = false;  ///< SYN without ACK, for the current connection.
  bool syn_from_remote : 1 = false;
  bool answer_from_local : 1 = false;  ///< SYN+ACK, likewise.
  bool answer_from_remote : 1 = false;
  bool settled : 1 = false;  ///< A packet without SYN followed.
  bool fin_from_local : 1 = false;
  bool fin_from_remote : 1 = false;
  bool reset : 1 = false;
  Rule rule = Rule::kTcpFlow;
};

/// The known phase of a flow. Earlier values are evicted first.
enum class FlowPhase : std::uint8_t {
  kClosed,   ///< A FIN from both ends, or a RST.
  kOpening,  ///< SYNs only.
  kOpen,
};
inline constexpr unsigned kFlowPhaseCount = static_cast<unsigned>(FlowPhase::kOpen) + 1;

/// Organized in sets of eight slots, found by hash. One word per set holds one byte of hash for
/// each slot and selects the slots to compare. A full set evicts a closed flow, otherwise one that
/// never got past its SYN, otherwise the least recently seen one. Eviction is safe: the flow is
/// decided again from its next packet.
class FlowTable {
 public:
  /// `capacity` is rounded up to a power of two, at least 8.
  FlowTable(std::size_t capacity, std::uint64_t seed);

  /// Null if unknown.
  FlowState* find(const FlowKey& key);
  /// Creates the flow if unknown. The reference is valid until the next call.
  FlowState& obtain(const FlowKey& key);

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return (set_mask_ + 1) * kWays; }
  /// Evicted flows, by their phase.
  std::uint64_t evictions(FlowPhase phase) const {
    return evictions_[static_cast<unsigned>(phase)];
  }
  std::uint64_t evictions() const {
    return std::accumulate(evictions_.begin(), evictions_.end(), std::uint64_t{0});
  }

 private:
  static constexpr std::size_t kWays = 8;
  struct Slot {
    FlowKey key;
    FlowState state;
    std::uint32_t used = 0;  // tick of the last use
  };
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  struct Place {
    std::size_t set;
    std::uint64_t tag;  // 0x80 to 0xff
  };

  Place place_of(const FlowKey& key) const;
  Slot* find_at(const Place& place, const FlowKey& key) const;
  std::size_t way_to_give(const Slot* set) const;
  static FlowPhase phase_of(const Slot& slot);

  std::size_t set_mask_;
  std::uint64_t seed_;
  std::uint32_t clock_ = 0;
  std::size_t size_ = 0;
  std::array<std::uint64_t, kFlowPhaseCount> evictions_{};
  std::unique_ptr<std::uint64_t[], Free> tags_;  // one word per set; a byte of 0 is a free slot
  std::unique_ptr<Slot[], Free> slots_;
};

}  // namespace sidetap::ownership
