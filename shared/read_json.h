// JSON from elsewhere, read with bounds: whatever it says, the program that reads it goes on.
#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "shared/result.h"

namespace sidetap {

/// Arrays and objects within each other. Objects of the Kubernetes API have some twenty at most;
/// each level costs whoever copies or writes the value some hundred bytes of stack.
inline constexpr std::size_t kMostJsonDepth = 128;

/// Does valid JSON nest deeper than `most`? Linear in time, constant in memory.
bool nests_deeper(std::string_view text, std::size_t most);

/// Error: it is not JSON, or nests deeper than kMostJsonDepth.
Result<nlohmann::json> read_json(std::string_view text);

}  // namespace sidetap
