// How long a tap that ends by itself may run. Pure.
#pragma once

#include <chrono>

namespace sidetap {

/// The longest time that --run-for, or an order on standard input, may give.
inline constexpr std::chrono::hours kLongestRun{24 * 30};

}  // namespace sidetap
