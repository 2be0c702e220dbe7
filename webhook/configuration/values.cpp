#include "webhook/configuration/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "shared/net/host_port.h"

namespace sidetap::configuration {
namespace {

constexpr std::size_t kMostSensors = 10;
constexpr std::uint32_t kLeastSnaplen = 64;
constexpr std::uint32_t kMostSnaplen = 262'144;
constexpr double kLeastCpu = 0.001;
constexpr double kLeastMemory = 16.0 * 1024 * 1024;

template <typename Visit>
void each_item(std::string_view list, Visit&& visit) {
  while (true) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    visit(item);
    if (comma == list.size()) return;
    list.remove_prefix(comma + 1);
  }
}

double unit_of(std::string_view suffix) {
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
  return found == kUnits.end() ? 0 : found->second;
}

}  // namespace

Result<std::string> check_sensor(std::string_view text, std::uint16_t default_port) {
  const Error wrong{"HOST or HOST:PORT, at most 10, separated by commas"};
  std::string sensors;
  std::size_t count = 0;
  bool good = true;
  each_item(text, [&](std::string_view item) {
    const auto sensor = net::parse_host_port(item, default_port);
    if (!sensor || sensor->host.empty() || sensor->port == 0) {
      good = false;
      return;
    }
    sensors += (count++ == 0 ? "" : ",") + sensor->to_string();
  });
  if (!good || count == 0 || count > kMostSensors) return wrong;
  return sensors;
}

Result<std::uint32_t> check_snaplen(std::string_view text) {
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || at != end || value < kLeastSnaplen || value > kMostSnaplen)
    return Error{"a number from 64 to 262144 (bytes)"};
  return value;
}

Result<std::string> check_interface(std::string_view text) {
  if (text.empty()) return std::string();
  bool good = true;
  each_item(text, [&](std::string_view name) {
    good = good && !name.empty() && name.size() <= 15 &&
           std::none_of(name.begin(), name.end(), [](char c) {
             return static_cast<unsigned char>(c) <= 0x20 || c == '/' || c == 0x7f;
           });
  });
  if (!good || text.find(' ') != text.npos)
    return Error{"names of network interfaces, separated by commas"};
  return std::string(text);
}

Result<std::string> check_log_level(std::string_view text) {
  for (const std::string_view level : {"debug", "info", "warn", "error"})
    if (text == level) return std::string(text);
  return Error{"debug, info, warn, error"};
}

Result<std::string> check_image(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 512 && text.front() != '/' &&
                    text.front() != ':' && std::all_of(text.begin(), text.end(), [](char c) {
                      return c > 0x20 && c < 0x7f && c != '"';
                    });
  if (!good) return Error{"an image reference"};
  return std::string(text);
}

Result<std::string> check_cpu(std::string_view text) {
  const auto amount = parse_quantity(text);
  if (!amount || *amount < kLeastCpu) return Error{"CPUs, at least 1m, such as 500m"};
  return std::string(text);
}

Result<std::string> check_memory(std::string_view text) {
  const auto amount = parse_quantity(text);
  if (!amount || *amount < kLeastMemory) return Error{"bytes, at least 16Mi, such as 64Mi"};
  return std::string(text);
}

std::optional<double> parse_quantity(std::string_view text) {
  // No sign: what counts here is never negative. from_chars would take "inf" and "nan" too.
  if (text.empty() || !((text[0] >= '0' && text[0] <= '9') || text[0] == '.')) return std::nullopt;
  const char* const end = text.data() + text.size();
  double value = 0;
  // "1E" is the suffix exa, "1E3" an exponent: what does not parse with an exponent does without.
  const auto [at, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc()) return std::nullopt;
  const double unit = unit_of({at, static_cast<std::size_t>(end - at)});
  if (unit == 0) return std::nullopt;
  return value * unit;
}

bool same_quantity(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto left = parse_quantity(a);
  const auto right = parse_quantity(b);
  return left && right && std::abs(*left - *right) <= 1e-9 * std::max(*left, *right);
}

}  // namespace sidetap::configuration
