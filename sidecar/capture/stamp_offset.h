// Converts packets' time stamps to the steady clock.
//
// The kernel stamps packets with the wall clock, which may be set while they wait to be read.
// Comparisons of a packet with an event use the steady clock.
#pragma once

#include <chrono>

#include "sidecar/packet/captured_packet.h"

namespace sidetap::capture {

/// Holds until the wall clock is set. Take it anew before packets are read: then what is stamped
/// later is right, and what waited while the clock was set back counts as newer than it is, never
/// as older.
class StampOffset {
 public:
  explicit StampOffset(std::chrono::nanoseconds steady_minus_wall) : offset_(steady_minus_wall) {}
  /// Reads both clocks.
  static StampOffset now();

  std::chrono::steady_clock::time_point moment_of(const CapturedPacket& packet) const {
    return std::chrono::steady_clock::time_point(offset_ + std::chrono::seconds(packet.seconds) +
                                                 std::chrono::nanoseconds(packet.nanoseconds));
  }

 private:
  std::chrono::nanoseconds offset_;
};

}  // namespace sidetap::capture
