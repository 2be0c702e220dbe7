// A snapshot of what became of the packets of captures.
#pragma once

#include <cstdint>
#include <string>

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
  /// For a sensor that must get every packet: packets that passed while it had no capture.
  std::uint64_t missed = 0;

  std::uint64_t dropped_total() const;
  CaptureCounts& operator+=(const CaptureCounts& other);
  /// `earlier`: counts of the same capture.
  CaptureCounts& operator-=(const CaptureCounts& earlier);
};

struct SensorCounts : CaptureCounts {
  std::string sensor{};  ///< The key of its captures.
};

/// The current counts, without `missed`.
CaptureCounts counts_of(const forwarding::Forwarder& forwarder);

}  // namespace sidetap
