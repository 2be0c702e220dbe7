#include "sidecar/forwarding/rate_limiter.h"

#include <algorithm>

namespace sidetap::forwarding {
namespace {

constexpr std::uint64_t kWindowUs = 100'000;
constexpr double kSecondUs = 1'000'000;
// Below this share the flows that are kept would hardly be more than none.
constexpr double kLeastShare = 1.0 / 1024;

}  // namespace

RateLimiter::Budget::Budget(std::uint64_t per_second)
    : rate_(static_cast<double>(per_second)),
      most_(rate_ * kWindowUs / kSecondUs),
      credit_(most_) {}

void RateLimiter::Budget::refill(double seconds) {
  credit_ = std::min(credit_ + rate_ * seconds, most_);
}

double RateLimiter::Budget::take_share(double seconds) {
  const double fitting = rate_ * seconds;
  const double share = !bounded() || offered_ <= fitting ? 1.0 : fitting / offered_;
  offered_ = 0;
  return share;
}

void RateLimiter::begin_window(std::uint64_t now_us) {
  // Back in time the length of the window is not known.
  const double seconds = now_us < window_begin_us_
                             ? kWindowUs / kSecondUs
                             : static_cast<double>(now_us - window_begin_us_) / kSecondUs;
  const double fits = std::min(bits_.take_share(seconds), packets_.take_share(seconds));
  // Down at once, up slowly: flows should not come and go with each burst.
  kept_ = std::max(fits < kept_ ? fits : kept_ + (fits - kept_) / 4, kLeastShare);
  window_begin_us_ = now_us;
}

bool RateLimiter::admit(std::uint64_t flow, std::uint32_t bytes, std::uint64_t now_us,
                        std::uint32_t packets) {
  // Older by so little it has waited in another ring; older by more the clock has been set back.
  if (now_us + kWindowUs > last_us_) now_us = std::max(now_us, last_us_);
  if (now_us > last_us_) {
    const double seconds = static_cast<double>(now_us - last_us_) / kSecondUs;
    bits_.refill(seconds);
    packets_.refill(seconds);
  }
  last_us_ = now_us;
  if (now_us < window_begin_us_ || now_us - window_begin_us_ >= kWindowUs) begin_window(now_us);
  const double bits = bytes * 8.0;
  bits_.offer(bits);
  packets_.offer(packets);
  // The upper bits: the lower ones may choose the sensor.
  const bool fits = static_cast<double>(flow >> 32) / 4294967296.0 < kept_;
  if (!bits_.has(fits) || !packets_.has(fits)) return false;
  bits_.spend(bits);
  packets_.spend(packets);
  return true;
}

}  // namespace sidetap::forwarding
