#include "sidecar/forwarding/rate_limiter.h"

#include <algorithm>

namespace sidetap::forwarding {
namespace {

constexpr std::uint64_t kWindowUs = 100'000;
constexpr std::uint64_t kWindowsPerSecond = 1'000'000 / kWindowUs;
// Below this share the flows that are kept would hardly be more than none.
constexpr double kLeastShare = 1.0 / 1024;

double share(std::uint64_t limit_per_second, std::uint64_t offered) {
  const double limit = static_cast<double>(limit_per_second) / kWindowsPerSecond;
  return limit_per_second == 0 || static_cast<double>(offered) <= limit
             ? 1.0
             : limit / static_cast<double>(offered);
}

bool exceeds(std::uint64_t limit_per_second, std::uint64_t sent) {
  return limit_per_second != 0 && sent * kWindowsPerSecond > limit_per_second;
}

}  // namespace

void RateLimiter::begin_window(std::uint64_t now_us) {
  const double fits = std::min(share(limit_.bits_per_second, offered_bits_),
                               share(limit_.packets_per_second, offered_packets_));
  // Down at once, up slowly: flows should not come and go with each burst.
  kept_ = std::max(fits < kept_ ? fits : kept_ + (fits - kept_) / 4, kLeastShare);
  window_begin_us_ = now_us;
  offered_bits_ = offered_packets_ = sent_bits_ = sent_packets_ = 0;
}

bool RateLimiter::admit(std::uint64_t flow, std::uint32_t bytes, std::uint64_t now_us) {
  const std::uint64_t bits = std::uint64_t{bytes} * 8;
  if (now_us < window_begin_us_ || now_us - window_begin_us_ >= kWindowUs) begin_window(now_us);
  offered_bits_ += bits;
  ++offered_packets_;
  // The upper bits: the lower ones may choose the sensor.
  const double place = static_cast<double>(flow >> 32) / 4294967296.0;
  if (place >= kept_) return false;
  // The share is a guess from the window before; the bound holds in each window all the same.
  if (exceeds(limit_.bits_per_second, sent_bits_ + bits) ||
      exceeds(limit_.packets_per_second, sent_packets_ + 1))
    return false;
  sent_bits_ += bits;
  ++sent_packets_;
  return true;
}

}  // namespace sidetap::forwarding
