// The time that capture files and streams are stamped with.
#pragma once

#include <chrono>
#include <cstdint>

namespace sidetap::forwarding {

/// Nanoseconds since 1970.
inline std::uint64_t wall_clock_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace sidetap::forwarding
