// A number for each flow, by which flows are shared out. Pure, and the same in every tap and build.
#pragma once

#include <cstdint>

#include "sidecar/packet/packet_view.h"

namespace sidetap {

/// Spreads all bits of both over the result.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t h = (a ^ b) * 0x9e3779b97f4a7c15ULL;
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93ULL;
  return h ^ (h >> 32);
}

/// A number that both directions of a flow share; fragments share their host pair's.
inline std::uint64_t flow_hash(const capture::PacketView& view) {
  std::uint64_t source = mix(view.source.high(), view.source.low());
  std::uint64_t destination = mix(view.destination.high(), view.destination.low());
  // A later fragment has no ports, so no fragment may count them.
  if (!view.fragment) {
    source = mix(source, view.source_port);
    destination = mix(destination, view.destination_port);
  }
  return mix(source + destination, 1);  // a sum is the same in both directions
}

}  // namespace sidetap
