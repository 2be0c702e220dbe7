// Which groups of settings the registry may change while a tap runs. Pure.
#pragma once

#include <array>
#include <bitset>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace sidetap::tap {

/// What --registry-control may name: the groups of settings that the registry may change.
inline constexpr std::array<std::string_view, 6> kControls = {"sensors", "filter", "sampling",
                                                              "snaplen", "rate",   "pause"};
/// Some of kControls, by their index.
using ControlSet = std::bitset<kControls.size()>;
/// Reads "on", which is all of them, "off", or names separated by commas.
Result<ControlSet> parse_controls(std::string_view text);
/// The names, in their order.
std::vector<std::string_view> names_of(const ControlSet& controls);

}  // namespace sidetap::tap
