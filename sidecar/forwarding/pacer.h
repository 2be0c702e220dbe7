// Bounds how much leaves at once: what comes as a burst goes on as a stream that a receiver's
// socket has room for. Pure: the clock comes in.
//
// A token bucket. Its rate follows the traffic, so that a steady stream is never held up, however
// fast: it is twice what came in the mean of the last second, and at least a fixed one, which is
// the higher the more waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sidetap::forwarding {

struct PaceConfig {
  double least_rate = 250e6;  ///< Bytes a second that may always leave.
  /// What waits leaves within this time, beside as much as `least_rate` that comes meanwhile.
  std::chrono::milliseconds longest_wait{250};
  double headroom = 2;            ///< Times the mean that may leave.
  double shortest_train = 512e3;  ///< Bytes that may leave one behind the other;
  double longest_train = 4096e3;  ///< as much as the rate gives in `train_time`, within these.
  std::chrono::microseconds train_time{1250};
  std::chrono::milliseconds memory{1000};  ///< Of the mean.
};

/// One thread.
class Pacer {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Pacer(PaceConfig config = {});

  /// Time has passed. `waiting`: bytes that have arrived and not left.
  void advance(Time now, std::size_t waiting);
  /// A packet has come that is to leave, now or later.
  void arrive(std::size_t bytes) { arrived_ += bytes + kPacketBytes; }
  /// The next packet may leave now, whatever its size.
  bool may_send() const { return credit_ > 0; }
  void spend(std::size_t bytes) { credit_ -= static_cast<double>(bytes + kPacketBytes); }
  /// Bytes a second.
  double rate() const { return rate_; }

 private:
  // Each packet counts for so many bytes more: small ones cost a receiver as much as large ones.
  static constexpr std::size_t kPacketBytes = 64;

  PaceConfig config_;
  std::uint64_t arrived_ = 0;  // since the mean was taken last
  double mean_ = 0;            // bytes a second
  double rate_;
  double credit_;
  Time last_{};
  Time mean_taken_{};
};

}  // namespace sidetap::forwarding
