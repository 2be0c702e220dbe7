#include "webhook/configuration/quantity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace sidetap::configuration {
namespace {

constexpr double kMost = 0x1p63;

std::optional<double> unit_of(std::string_view suffix) {
  constexpr std::array<std::pair<std::string_view, double>, 16> kUnits = {{{"", 1},
                                                                           {"n", 1e-9},
                                                                           {"u", 1e-6},
                                                                           {"m", 1e-3},
                                                                           {"k", 1e3},
                                                                           {"M", 1e6},
                                                                           {"G", 1e9},
                                                                           {"T", 1e12},
                                                                           {"P", 1e15},
                                                                           {"E", 1e18},
                                                                           {"Ki", 0x1p10},
                                                                           {"Mi", 0x1p20},
                                                                           {"Gi", 0x1p30},
                                                                           {"Ti", 0x1p40},
                                                                           {"Pi", 0x1p50},
                                                                           {"Ei", 0x1p60}}};
  const auto* const found = std::find_if(kUnits.begin(), kUnits.end(),
                                         [&](const auto& unit) { return unit.first == suffix; });
  if (found == kUnits.end()) return std::nullopt;
  return found->second;
}

/// "e3", "E-2": an exponent replaces a suffix.
std::optional<double> exponent_of(std::string_view suffix) {
  if (suffix.size() < 2 || (suffix[0] != 'e' && suffix[0] != 'E')) return std::nullopt;
  suffix.remove_prefix(1);
  if (suffix[0] == '+' && suffix.size() > 1 && suffix[1] != '-') suffix.remove_prefix(1);
  int exponent = 0;
  const char* const end = suffix.data() + suffix.size();
  const auto [at, code] = std::from_chars(suffix.data(), end, exponent);
  if (code != std::errc() || at != end) return std::nullopt;
  return std::pow(10.0, exponent);
}

}  // namespace

std::optional<double> parse_quantity(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  // from_chars would also accept "-1", "inf" and "nan".
  if (text.empty() || !((text[0] >= '0' && text[0] <= '9') || text[0] == '.')) return std::nullopt;
  const char* const end = text.data() + text.size();
  double number = 0;
  const auto [at, code] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (code != std::errc()) return std::nullopt;
  const std::string_view suffix(at, static_cast<std::size_t>(end - at));
  auto unit = unit_of(suffix);
  if (!unit) unit = exponent_of(suffix);
  if (!unit) return std::nullopt;
  const double amount = number * *unit;
  // Negated so that NaN (0e999 in doubles) also fails.
  if (!(amount < kMost)) return std::nullopt;
  return amount;
}

}  // namespace sidetap::configuration
