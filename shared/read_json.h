// Reads untrusted JSON within bounds, so that no input ends the program.
#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "shared/result.h"

namespace sidetap {

/// Levels of nested arrays and objects. Objects of the Kubernetes API have about twenty at most.
/// Each level costs a few hundred bytes of stack when the value is copied or written.
inline constexpr std::size_t kMostJsonDepth = 128;

/// Whether valid JSON nests deeper than `most` levels. Linear in time, constant in memory.
bool nests_deeper(std::string_view text, std::size_t most);

/// Errors: `text` is not JSON, or nests deeper than kMostJsonDepth.
Result<nlohmann::json> read_json(std::string_view text);

}  // namespace sidetap
