// Counts of what arrived from a tap, or from all taps.
#pragma once

#include <cstdint>

namespace sidetap::collector {

struct TapCounts {
  std::uint64_t packets = 0;         ///< Whole ones, also those that the operator's filter refuses.
  std::uint64_t bytes = 0;           ///< Of these packets, as captured.
  std::uint64_t filtered = 0;        ///< Packets that the operator's filter refuses.
  std::uint64_t datagrams = 0;       ///< 0 for streams.
  std::uint64_t lost_datagrams = 0;  ///< From gaps in the sequence numbers.
  std::uint64_t late_datagrams = 0;  ///< Out of order, not used; counted as lost before.
  std::uint64_t broken_packets = 0;  ///< Began, but the rest did not come.
  std::uint64_t malformed = 0;       ///< Datagrams or messages that violate the format.
  /// From gaps in the packets' numbers: lost on the way, broken, or not sent by the tap, which
  /// counts these itself.
  std::uint64_t missing_packets = 0;
  std::uint64_t restarts = 0;  ///< The numbers jumped further than anything that can be lost.

  TapCounts& operator+=(const TapCounts& other) {
    packets += other.packets;
    bytes += other.bytes;
    filtered += other.filtered;
    datagrams += other.datagrams;
    lost_datagrams += other.lost_datagrams;
    late_datagrams += other.late_datagrams;
    broken_packets += other.broken_packets;
    malformed += other.malformed;
    missing_packets += other.missing_packets;
    restarts += other.restarts;
    return *this;
  }
  friend bool operator==(const TapCounts&, const TapCounts&) = default;
};

}  // namespace sidetap::collector
