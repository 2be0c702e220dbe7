// Keeps forwarding below a rate, by whole flows where possible: half of the flows tell a sensor
// more than half of each flow. Pure: the time comes with the packets.
#pragma once

#include <cstdint>

namespace sidetap::forwarding {

/// 0: no bound.
struct RateLimit {
  std::uint64_t bits_per_second = 0;
  std::uint64_t packets_per_second = 0;
  bool any() const { return bits_per_second != 0 || packets_per_second != 0; }
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

/// Flows that fit the rate take precedence; what they leave unused goes to packets of other flows.
/// In the long run, the rate holds for any packet size: the packets after a large one pay for it.
class RateLimiter {
 public:
  explicit RateLimiter(RateLimit limit)
      : bits_(limit.bits_per_second), packets_(limit.packets_per_second) {}

  /// Whether this packet may pass. `flow` is an evenly distributed number, the same for both
  /// directions of a flow. `now_us` is the packet's time in microseconds; steps of the clock and
  /// slight disorder do no harm. `packets` is the number of packets that it was on the wire.
  bool admit(std::uint64_t flow, std::uint32_t bytes, std::uint64_t now_us,
             std::uint32_t packets = 1);

 private:
  /// One limit: the remaining credit, and the demand in the current window.
  class Budget {
   public:
    explicit Budget(std::uint64_t per_second);
    void refill(double seconds);
    /// Whether there is enough credit for a packet, which depends on whether its flow fits.
    bool has(bool fits) const { return !bounded() || credit_ > (fits ? 0 : most_ / 2); }
    void offer(double amount) { offered_ += amount; }
    void spend(double amount) { credit_ -= amount; }
    /// Returns the fraction of the window's demand that fits, and resets the demand.
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
