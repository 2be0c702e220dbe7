// How long to wait before trying again: twice as long each time, never the same for two programs.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace sidetap::async {

struct BackoffBounds {
  std::chrono::milliseconds least{500};
  std::chrono::milliseconds most{30'000};
};

/// Pure: chance comes in as a number.
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
  /// It works: the next trouble is a new one.
  void succeeded() { next_ = bounds_.least; }
  /// A session that stood for `most` or longer is taken as proof that the peer is well, and the
  /// next wait is short again; one that ended at once is not, whatever it did.
  void session_ended(std::chrono::milliseconds stood) {
    if (stood >= bounds_.most) succeeded();
  }

 private:
  BackoffBounds bounds_;
  std::chrono::milliseconds next_;
};

/// Where chance comes from outside of tests. One thread.
class Chance {
 public:
  /// In [0, 1).
  double operator()() { return std::uniform_real_distribution<double>(0, 1)(random_); }

 private:
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace sidetap::async
