// A ring that is small while little happens and large under load, without a packet lost or doubled
// when it changes: two packet sockets in one fanout group (PACKET_FANOUT, packet(7)), of which the
// kernel hands each packet to exactly one.
//
// It grows as well for packets that are longer than its blocks (BIG TCP, set while it captures).
//
// It is load when half of it waits unread, and when blocks fill before their time is up: the reader
// wakes for each, and for the large ring's blocks, which are larger, it wakes less often.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>

#include "shared/result.h"
#include "sidecar/capture/ring.h"

namespace sidetap::capture {

struct GrowthConfig {
  std::size_t block_bytes = 512U << 10;     ///< Under load; as of RingConfig.
  unsigned blocks = 16;                     ///< No more memory than the small ring: never grows.
  std::chrono::milliseconds quiet{60'000};  ///< Without load for that long it is small again.
};

/// One thread. What takes its time in the kernel, memory and the change itself, is done beside it:
/// reading goes on meanwhile.
class GrowingRing {
 public:
  /// `small` says what the ring is without load. Takes the sockets, as Ring::open() does, the older
  /// one first; without a second one it never grows.
  static Result<std::unique_ptr<GrowingRing>> open(const RingConfig& small,
                                                   const GrowthConfig& growth,
                                                   net::UniqueFd& first_socket,
                                                   net::UniqueFd& second_socket);
  ~GrowingRing();
  /// Whether with these it needs a second socket.
  static bool may_grow(const RingConfig& small, const GrowthConfig& growth) {
    return growth.block_bytes * growth.blocks > small.block_bytes * small.blocks;
  }

  /// As of Ring, over both.
  std::size_t read(PacketHandler& handler, std::size_t most);
  Result<void> set_filter(std::span<const BpfInstruction> program);
  Result<void> check();
  void add_counts(SourceCounts& counts);

  /// Packets of so many bytes are to come. Where the small ring's blocks have no room for them it
  /// grows, and stays large; where it cannot, it is outgrown.
  void expect(std::size_t longest);
  /// As of PacketSource.
  std::size_t outgrown_by() const { return outgrown_ ? longest_ : 0; }
  int bound_index() const { return small_->bound_index(); }
  /// As of Ring. For a ring that is not in a group, that is, one that never grows.
  net::UniqueFd give_up_socket();

  /// Readable when there are packets: poll both. -1: there is no second.
  int descriptor() const { return small_->descriptor(); }
  int second_descriptor() const { return large_ ? large_->descriptor() : -1; }
  bool is_large() const { return phase_ == Phase::kLarge; }
  bool is_changing() const { return phase_ == Phase::kGrowing || phase_ == Phase::kShrinking; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kSmall, kGrowing, kLarge, kShrinking };
  enum class Change { kPreparing, kTurning, kDone, kFailed };

  GrowingRing(std::unique_ptr<Ring> small, std::unique_ptr<Ring> large, const RingConfig& config,
              const GrowthConfig& growth);
  bool under_load(const Ring& ring, Clock::time_point now);
  std::size_t read_phase(PacketHandler& handler, std::size_t most);
  std::size_t read_changing(Ring& last, Ring& next, PacketHandler& handler, std::size_t most);
  void start_change(Phase phase);
  void end_change();
  void look_for_load();
  void look_for_quiet();
  bool has_room(std::size_t block_bytes) const { return longest_ + kBlockOverhead <= block_bytes; }

  std::unique_ptr<Ring> small_;
  std::unique_ptr<Ring> large_;  ///< Without memory but under load. Null: never grows.
  GrowthConfig growth_;
  std::size_t block_bytes_;  ///< The small ring's.
  std::chrono::milliseconds block_timeout_;
  Clock::time_point period_;              ///< When the present one began,
  std::uint64_t read_before_period_ = 0;  ///< and the bytes read by then.
  std::size_t longest_ = 0;               ///< Packet that there has to be room for.
  bool outgrown_ = false;
  bool busy_ = false;  ///< Blocks filled before their time, in the one before.
  Phase phase_ = Phase::kSmall;
  Clock::time_point since_;   ///< Of the last load while it is large; small: no change before.
  Clock::time_point turned_;  ///< Since then the next ring gets packets. Zero: not yet.
  Clock::time_point done_;    ///< Where it is done: since then the last one gets none for certain.
  std::thread changing_;
  std::atomic<Change> change_{Change::kPreparing};
};

}  // namespace sidetap::capture
