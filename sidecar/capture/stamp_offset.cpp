#include "sidecar/capture/stamp_offset.h"

namespace sidetap::capture {

StampOffset StampOffset::now() {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  constexpr int kAttempts = 4;
  // The thread may be stopped between the two clocks: the attempt that took the least time is
  // right.
  auto shortest = steady_clock::duration::max();
  std::chrono::nanoseconds offset{};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto before = steady_clock::now();
    const auto wall = system_clock::now();
    const auto took = steady_clock::now() - before;
    if (took >= shortest) continue;
    shortest = took;
    offset = (before + took / 2).time_since_epoch() - wall.time_since_epoch();
  }
  return StampOffset(offset);
}

}  // namespace sidetap::capture
