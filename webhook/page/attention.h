// What an operator should look at, in words. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/coverage/summary.h"
#include "webhook/page/survey.h"

namespace sidetap::webhook::page {

enum class Severity : std::uint8_t {
  kError,    ///< Packets do not reach a sensor now.
  kWarning,  ///< Packets were lost, or will be, or nobody knows.
  kNote,     ///< As configured, or about to pass.
};
/// "error", "warning" or "note"; a static string.
std::string_view name_of(Severity severity);

struct Attention {
  Severity severity = Severity::kNote;
  std::string text{};
  std::string link{};  ///< A view of the page, "#/taps?standing=gone".
};

/// The worst first, a few dozen at most. `coverage` may be null.
std::vector<Attention> attention_of(const Survey& survey, const coverage::Summary* coverage);

}  // namespace sidetap::webhook::page
