// The options of a running tap when the registry gives it other settings.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/config/options.h"
#include "shared/result.h"
#include "sidecar/options/options.h"

namespace sidetap {

/// How the tap was started: the arguments of `sidetap-sidecar run`, and the environment. What they
/// refer to outlives the tap.
struct CommandLine {
  std::span<const char* const> arguments{};
  config::OptionSet::Environment environment{};
};

/// Returns the options as they would be if the tap started now with `values` in its environment.
/// Only settings with a Setting::control can change; all others are those of `start`, and no file
/// is read again. Values count if the tap takes orders for their group (RegistryOptions::control);
/// an empty one means that the variable is unset. A flag in `line` wins over a value. `start` must
/// be checked and come from the same `line`. Error: a value that is not accepted, values that do
/// not go together, or an output that a running tap cannot change to or from.
Result<RunOptions> options_with(const RunOptions& start, const CommandLine& line,
                                const std::map<std::string, std::string, std::less<>>& values);

/// The groups of tap::kControls in which the two differ, in their order.
std::vector<std::string_view> changed_controls(const RunOptions& before, const RunOptions& after);

}  // namespace sidetap
