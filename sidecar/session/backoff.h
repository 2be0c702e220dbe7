// How long to wait before dialling again: twice as long each time, never the same for two taps.
#pragma once

#include <algorithm>
#include <chrono>

namespace sidetap::session {

struct BackoffBounds {
  std::chrono::milliseconds least{500};
  std::chrono::milliseconds most{30'000};
};

/// Pure: chance comes in as a number. A session that stood for `most` or longer is taken as proof
/// that the peer is well, and the next wait is short again; one that ended at once is not, whatever
/// it did.
class Backoff {
 public:
  explicit Backoff(BackoffBounds bounds) : bounds_(bounds), next_(bounds.least) {}

  /// `chance` in [0, 1). The wait is between half and the whole of the present step.
  std::chrono::milliseconds wait(double chance) {
    const auto step = static_cast<double>(next_.count());
    next_ = std::min(next_ * 2, bounds_.most);
    return std::chrono::milliseconds(
        static_cast<std::chrono::milliseconds::rep>(step / 2 + step / 2 * chance));
  }
  void session_ended(std::chrono::milliseconds stood) {
    if (stood >= bounds_.most) next_ = bounds_.least;
  }

 private:
  BackoffBounds bounds_;
  std::chrono::milliseconds next_;
};

}  // namespace sidetap::session
