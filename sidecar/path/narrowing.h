// What an operator leaves out of what a tap would forward. It never adds a packet.
#pragma once

#include <cstdint>
#include <string>

#include "sidecar/forwarding/rate_limiter.h"

namespace sidetap {

/// All of it can change while the tap runs. What is left out counts as filtered, sampled, rate
/// limited or paused, and is never left to a peer: peers rely on this tap as before.
struct Narrowing {
  /// A pcap filter expression that has been checked; empty: all packets. It is a part of the
  /// kernel's filter, so what it does not accept never reaches the process.
  std::string filter{};
  /// One flow in this many is forwarded, both directions of it. Which one depends on the flow's
  /// addresses and ports alone, so two taps that forward a direction each choose alike.
  std::uint32_t flow_sampling = 1;
  std::uint32_t snaplen = 262'144;  ///< Bytes that are forwarded of each packet at most.
  forwarding::RateLimit rate_limit{};
  bool paused = false;  ///< Captures stay, and get nothing.
  friend bool operator==(const Narrowing&, const Narrowing&) = default;
};

}  // namespace sidetap
