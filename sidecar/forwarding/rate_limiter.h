// Keeps what is forwarded below a rate, whole flows where possible: a sensor makes more of half the
// flows than of half of each flow. Pure: the clock comes in with the packets.
#pragma once

#include <cstdint>

namespace sidetap::forwarding {

/// 0: no bound.
struct RateLimit {
  std::uint64_t bits_per_second = 0;
  std::uint64_t packets_per_second = 0;
  bool any() const { return bits_per_second != 0 || packets_per_second != 0; }
};

class RateLimiter {
 public:
  explicit RateLimiter(RateLimit limit) : limit_(limit) {}

  /// May this packet go? `flow`: the same for both directions of a flow, evenly spread.
  /// `now_us`: of the packet; steps of the clock, forward or back, do no harm.
  bool admit(std::uint64_t flow, std::uint32_t bytes, std::uint64_t now_us);

 private:
  void begin_window(std::uint64_t now_us);

  RateLimit limit_;
  std::uint64_t window_begin_us_ = 0;
  // In the window: what came, and what was let go.
  std::uint64_t offered_bits_ = 0;
  std::uint64_t offered_packets_ = 0;
  std::uint64_t sent_bits_ = 0;
  std::uint64_t sent_packets_ = 0;
  double kept_ = 1;  // share of the flows
};

}  // namespace sidetap::forwarding
