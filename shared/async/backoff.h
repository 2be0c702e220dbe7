// How long to wait before a retry: exponential back-off with jitter.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace sidetap::async {

struct BackoffBounds {
  std::chrono::milliseconds least{500};
  std::chrono::milliseconds most{30'000};
};

/// Pure: the caller supplies the random number.
class Backoff {
 public:
  explicit Backoff(BackoffBounds bounds) : bounds_(bounds), next_(bounds.least) {}

  /// `chance` in [0, 1). The wait is between half of the current step and the whole step.
  std::chrono::milliseconds wait(double chance) {
    const auto step = static_cast<double>(next_.count());
    next_ = std::min(next_ * 2, bounds_.most);
    return std::chrono::milliseconds(
        static_cast<std::chrono::milliseconds::rep>(step / 2 + step / 2 * chance));
  }
  /// Resets the back-off: the next failure starts from the shortest wait again.
  void succeeded() { next_ = bounds_.least; }
  /// Resets the back-off if the session lasted for `most` or longer, which shows that the peer
  /// works. A shorter session resets nothing, whatever it did.
  void session_ended(std::chrono::milliseconds stood) {
    if (stood >= bounds_.most) succeeded();
  }

 private:
  BackoffBounds bounds_;
  std::chrono::milliseconds next_;
};

/// The source of random numbers outside tests. For one thread only.
class Chance {
 public:
  /// In [0, 1).
  double operator()() { return std::uniform_real_distribution<double>(0, 1)(random_); }

 private:
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace sidetap::async
