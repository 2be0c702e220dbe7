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

/// Flows that fit the rate have the first call on it; what they leave unused goes to the others'
/// packets. What passes in the long run is the rate, however large a packet is: one that is more
/// than its share is paid for by those behind it.
class RateLimiter {
 public:
  explicit RateLimiter(RateLimit limit)
      : bits_(limit.bits_per_second), packets_(limit.packets_per_second) {}

  /// May this packet go? `flow`: the same for both directions of a flow, evenly spread.
  /// `now_us`: of the packet; steps of the clock, forward or back, do no harm, nor does a little
  /// disorder. `packets`: how many it was on the wire.
  bool admit(std::uint64_t flow, std::uint32_t bytes, std::uint64_t now_us,
             std::uint32_t packets = 1);

 private:
  /// One bound: what is left of it now, and what was asked of it in the window.
  class Budget {
   public:
    explicit Budget(std::uint64_t per_second);
    void refill(double seconds);
    /// Is there enough for a packet of a flow that fits, or of any other?
    bool has(bool fits) const { return !bounded() || credit_ > (fits ? 0 : most_ / 2); }
    void offer(double amount) { offered_ += amount; }
    void spend(double amount) { credit_ -= amount; }
    /// The part of the window's offer that fits; forgets it.
    double take_share(double seconds);

   private:
    bool bounded() const { return rate_ != 0; }
    double rate_;
    double most_;
    double credit_;
    double offered_ = 0;
  };
  void begin_window(std::uint64_t now_us);

  Budget bits_;
  Budget packets_;
  std::uint64_t last_us_ = 0;
  std::uint64_t window_begin_us_ = 0;
  double kept_ = 1;  // share of the flows that fit
};

}  // namespace sidetap::forwarding
