// Tells a capture thread that hangs from one that has had no time. Pure: the caller supplies the
// clock and the count of the thread's turns, and looks every few seconds.
#pragma once

#include <chrono>
#include <cstdint>

namespace sidetap {

struct HeartbeatConfig {
  std::chrono::milliseconds silence{30'000};  ///< Without a turn for so long, the thread hangs.
  /// From one look to the next no more than this counts as silence. While the whole process stands
  /// still (SIGSTOP, a suspended machine, no CPU for its group), the looks stand still too: the
  /// first one afterwards says little. Less than half of `silence`, so one or two looks are never
  /// enough.
  std::chrono::milliseconds longest_step{10'000};
};

/// One thread.
class Heartbeat {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class State : std::uint8_t {
    kAlive,   ///< It has made a turn since the last look.
    kSilent,  ///< It has not, and may have had no time.
    kHangs,
  };

  explicit Heartbeat(HeartbeatConfig config = {}) : config_(config) {}

  /// `turns`: of the thread, since it began.
  State look(Time now, std::uint64_t turns);
  State state() const { return state_; }

 private:
  HeartbeatConfig config_;
  State state_ = State::kAlive;
  bool looked_ = false;
  std::uint64_t turns_ = 0;  // at the last look
  Time last_look_{};
  Time::duration silent_{};
};

}  // namespace sidetap
