// The clock that tap and sensor share, for latencies on one machine.
#pragma once

#include <chrono>
#include <cstdint>

namespace sidetap::sensor {

/// Microseconds since 1970.
inline std::int64_t wall_clock_micros() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace sidetap::sensor
