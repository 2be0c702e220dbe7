// How many reports of one connection are taken. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace sidetap::webhook::registry {

/// Two within any second.
class ReportLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  bool admits(Time now) {
    Time& free_from = free_from_[next_];
    if (now < free_from) return false;
    free_from = now + std::chrono::seconds(1);
    next_ = (next_ + 1) % free_from_.size();
    return true;
  }

 private:
  std::array<Time, 2> free_from_{};  // when each of the places is free again
  std::size_t next_ = 0;
};

}  // namespace sidetap::webhook::registry
