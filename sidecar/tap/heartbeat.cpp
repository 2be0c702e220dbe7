#include "sidecar/tap/heartbeat.h"

#include <algorithm>
#include <utility>

namespace sidetap {

Heartbeat::State Heartbeat::look(Time now, std::uint64_t turns) {
  const Time before = std::exchange(last_look_, now);
  if (!std::exchange(looked_, true) || turns != turns_) {
    turns_ = turns;
    silent_ = {};
    state_ = State::kAlive;
    return state_;
  }
  silent_ += std::clamp<Time::duration>(now - before, {}, config_.longest_step);
  state_ = silent_ < config_.silence ? State::kSilent : State::kHangs;
  return state_;
}

}  // namespace sidetap
