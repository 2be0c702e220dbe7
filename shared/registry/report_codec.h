// The nested members of a tap's messages: the list `control` of a hello, and a report. They are
// read from a tree, since a tap's message is short. Part of codec.h.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "shared/registry/messages.h"
#include "shared/result.h"

namespace sidetap::registry {

/// The list as JSON. Leaves out names that are too long, and those beyond kMostControls.
std::string encode_control(const std::vector<std::string>& control);

// `text` is a JSON object that is not nested more deeply than kMostDepth. Errors: a member of the
// wrong kind.

/// Empty without the member.
Result<std::vector<std::string>> read_control(std::string_view text);
Result<Report> read_report(std::string_view text);

}  // namespace sidetap::registry
