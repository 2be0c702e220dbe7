// What became of the packets of a capture, in numbers that are no longer written to.
#pragma once

#include <cstdint>

#include "sidecar/forwarding/forwarder.h"

namespace sidetap {

/// Sums over captures that there were.
struct CaptureCounts {
  std::uint64_t forwarded = 0;
  std::uint64_t bytes = 0;
  std::uint64_t datagrams = 0;
  std::uint64_t filtered = 0;
  std::uint64_t sampled = 0;
  std::uint64_t segments = 0;
  std::uint64_t truncated = 0;
  std::uint64_t dropped[forwarding::kDropCauseCount] = {};
  /// Of one sensor that is to get every packet: those that went by while it had no capture.
  std::uint64_t missed = 0;

  std::uint64_t dropped_total() const;
  CaptureCounts& operator+=(const CaptureCounts& other);
};

/// As they are now, `missed` aside.
CaptureCounts counts_of(const forwarding::Forwarder& forwarder);

}  // namespace sidetap
