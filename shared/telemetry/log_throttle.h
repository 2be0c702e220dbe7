// Keeps outsiders from filling the log.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace sidetap::telemetry {

/// Admits at most a given number of events per period to the log, and counts the others. Safe from
/// any thread.
class LogThrottle {
 public:
  using Clock = std::chrono::steady_clock;

  LogThrottle(unsigned most, std::chrono::seconds period) : most_(most), period_(period) {}

  /// Returns nothing if this event must not be logged. Otherwise returns how many events were
  /// suppressed since the last admitted one.
  std::optional<std::uint64_t> admit(Clock::time_point now = Clock::now()) {
    const std::lock_guard lock(mutex_);
    if (now - start_ >= period_) {
      start_ = now;
      admitted_ = 0;
    }
    if (admitted_ == most_) {
      ++kept_back_;
      return std::nullopt;
    }
    ++admitted_;
    return std::exchange(kept_back_, 0);
  }

 private:
  const unsigned most_;
  const std::chrono::seconds period_;
  std::mutex mutex_;
  Clock::time_point start_;
  unsigned admitted_ = 0;
  std::uint64_t kept_back_ = 0;
};

}  // namespace sidetap::telemetry
