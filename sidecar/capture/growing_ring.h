// A ring that is small while little happens and large under load, without a packet lost or doubled
// when it changes: two packet sockets in one fanout group (PACKET_FANOUT, packet(7)), of which the
// kernel hands each packet to exactly one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <thread>

#include "shared/result.h"
#include "sidecar/capture/ring.h"

namespace sidetap::capture {

struct GrowthConfig {
  unsigned blocks = 64;  ///< Under load. No more than the small ring's: never grows.
  std::chrono::milliseconds quiet{60'000};  ///< Without load for that long it is small again.
};

/// One thread. Memory is allocated beside it, so that reading goes on meanwhile.
class GrowingRing {
 public:
  /// `small` says what the ring is without load.
  static Result<std::unique_ptr<GrowingRing>> open(const RingConfig& small,
                                                   const GrowthConfig& growth);
  ~GrowingRing();

  /// As of Ring, over both.
  std::size_t read(PacketHandler& handler, std::size_t most);
  Result<void> set_filter(std::span<const BpfInstruction> program);
  Result<void> check();
  void add_counts(SourceCounts& counts);

  /// Readable when there are packets: poll both. -1: there is no second.
  int descriptor() const { return small_->descriptor(); }
  int second_descriptor() const { return large_ ? large_->descriptor() : -1; }
  bool is_large() const { return phase_ == Phase::kLarge; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kSmall, kAllocating, kGrowing, kLarge, kShrinking };

  GrowingRing(std::unique_ptr<Ring> small, std::unique_ptr<Ring> large, const RingConfig& config,
              const GrowthConfig& growth);
  bool under_load(const Ring& ring) const { return ring.has_waiting(load_); }
  void start_growing();
  void grow();
  void end_growing_or_shrinking();
  void look_for_quiet();
  bool direct_to(unsigned member, Phase phase);

  std::unique_ptr<Ring> small_;
  std::unique_ptr<Ring> large_;  ///< Without memory but under load. Null: never grows.
  GrowthConfig growth_;
  unsigned load_;  ///< So many unread blocks are load: half of the small ring.
  std::chrono::milliseconds
      settling_;  ///< After this the ring that gets nothing more holds nothing.
  Phase phase_ = Phase::kSmall;
  Clock::time_point since_;  ///< Of the phase; of the last load while it is large.
  std::thread allocating_;
  std::atomic<int> allocated_{0};  ///< 1: it worked; -1: no memory.
};

}  // namespace sidetap::capture
