#include "webhook/configuration/values.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "shared/net/distinct.h"
#include "shared/net/host_port.h"
#include "webhook/configuration/image_reference.h"
#include "webhook/configuration/quantity.h"

namespace sidetap::configuration {
namespace {

constexpr std::size_t kMostSensors = 10;
constexpr std::uint32_t kLeastSnaplen = 64;
constexpr std::uint32_t kMostSnaplen = 262'144;
constexpr double kLeastCpu = 0.001;
constexpr double kMostCpu = 1024;
constexpr double kLeastMemory = 0x1p24;
constexpr double kMostMemory = 0x1p40;

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

}  // namespace

Result<std::string> check_sensor(std::string_view text, std::uint16_t default_port) {
  std::vector<net::HostPort> sensors;
  std::string why;
  each_item(text, [&](std::string_view item) {
    auto sensor = net::parse_host_port(item, default_port);
    if (sensor) {
      sensors.push_back(std::move(*sensor));
    } else if (why.empty()) {
      why = sensor.error().text;
    }
  });
  sensors = net::distinct(std::move(sensors), net::same_place);
  if (sensors.size() > kMostSensors) why = std::to_string(sensors.size()) + " given";
  if (!why.empty()) return Error{"HOST[:PORT],..., at most 10 (" + why + ")"};
  std::string list;
  for (const net::HostPort& sensor : sensors)
    list += (list.empty() ? "" : ",") + sensor.to_string();
  return list;
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
  std::vector<std::string_view> names;
  each_item(text, [&](std::string_view name) {
    good = good && !name.empty() && name.size() <= 15 &&
           std::none_of(name.begin(), name.end(), [](char c) {
             return static_cast<unsigned char>(c) <= 0x20 || c == '/' || c == 0x7f;
           });
    names.push_back(name);
  });
  if (!good || text.find(' ') != text.npos)
    return Error{"names of network interfaces, separated by commas"};
  std::string list;
  for (const std::string_view name : net::distinct(std::move(names)))
    list += (list.empty() ? "" : ",") + std::string(name);
  return list;
}

Result<std::string> check_log_level(std::string_view text) {
  for (const std::string_view level : {"debug", "info", "warn", "error"})
    if (text == level) return std::string(text);
  return Error{"debug, info, warn, error"};
}

Result<std::string> check_image(std::string_view text) {
  if (!is_image_reference(text)) return Error{"an image reference: [REGISTRY/]NAME[:TAG][@DIGEST]"};
  return std::string(text);
}

Result<std::string> check_cpu(std::string_view text) {
  const auto amount = parse_quantity(text);
  if (!amount || *amount < kLeastCpu || *amount > kMostCpu)
    return Error{"CPUs, from 1m to 1024, such as 500m"};
  return std::string(text);
}

Result<std::string> check_memory(std::string_view text) {
  const auto amount = parse_quantity(text);
  if (!amount || *amount < kLeastMemory || *amount > kMostMemory)
    return Error{"bytes, from 16Mi to 1Ti, such as 64Mi"};
  return std::string(text);
}

Result<std::string> check_variable_name(std::string_view text) {
  const auto is_good = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool good = !text.empty() && (text[0] < '0' || text[0] > '9') &&
                    std::all_of(text.begin(), text.end(), is_good);
  if (!good) return Error{"names of letters, digits and underscores"};
  return std::string(text);
}

bool is_dns_label(std::string_view text) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), is_good);
}

Result<std::string> check_object_name(std::string_view text) {
  const std::string_view whole = text;
  bool good = !text.empty() && text.size() <= 253;
  while (good && !text.empty()) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    good = is_dns_label(text.substr(0, dot)) && dot + 1 != text.size();
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  if (!good) return Error{"a Kubernetes name"};
  return std::string(whole);
}

}  // namespace sidetap::configuration
