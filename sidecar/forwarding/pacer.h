// Limits how much is sent at once: turns a burst into a stream that fits a receiver's socket. Pure:
// the caller passes the time.
//
// A token bucket. Its rate is twice the mean of the traffic of the last second, so that a steady
// stream is never delayed, however fast it is. The rate never falls below a minimum, which grows
// with the amount that waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sidetap::forwarding {

struct PaceConfig {
  double least_rate = 250e6;  ///< Minimum rate, bytes per second.
  /// What waits is sent within this time, in addition to new traffic of up to `least_rate`.
  std::chrono::milliseconds longest_wait{250};
  double headroom = 2;            ///< Multiple of the mean rate.
  double shortest_train = 512e3;  ///< Bytes that may be sent back to back:
  double longest_train = 4096e3;  ///< the rate times `train_time`, within these bounds.
  std::chrono::microseconds train_time{1250};
  std::chrono::milliseconds memory{1000};  ///< Time constant of the mean.
};

/// One thread.
class Pacer {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Pacer(PaceConfig config = {});

  /// Call it before packets are handled. `waiting`: bytes that have arrived and are not sent yet.
  void advance(Time now, std::size_t waiting);
  /// Counts a packet that is to be sent, now or later.
  void arrive(std::size_t bytes) { arrived_ += bytes + kPacketBytes; }
  /// Whether the next packet may be sent now, whatever its size.
  bool may_send() const { return credit_ > 0; }
  void spend(std::size_t bytes) { credit_ -= static_cast<double>(bytes + kPacketBytes); }
  /// Bytes per second.
  double rate() const { return rate_; }

 private:
  // Added to the size of each packet, because a small packet costs a receiver as much as a large
  // one.
  static constexpr std::size_t kPacketBytes = 64;

  PaceConfig config_;
  std::uint64_t arrived_ = 0;  // since the last update of the mean
  double mean_ = 0;            // bytes a second
  double rate_;
  double credit_;
  Time last_{};
  Time mean_taken_{};
};

}  // namespace sidetap::forwarding
