#include "webhook/configuration/values.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "shared/net/host_port.h"
#include "shared/net/text.h"
#include "webhook/configuration/image_reference.h"
#include "webhook/configuration/quantity.h"

namespace sidetap::configuration {
namespace {

constexpr std::size_t kMostSensors = 10;
constexpr double kLeastCpu = 0.001;
constexpr double kMostCpu = 1024;
constexpr double kLeastMemory = 0x1p24;
constexpr double kMostMemory = 0x1p40;

}  // namespace

Result<std::string> check_sensor(std::string_view text, std::uint16_t default_port) {
  const auto refused = [](const std::string& why) {
    return Error{"HOST[:PORT],..., at most 10 (" + why + ")"};
  };
  std::vector<net::HostPort> sensors;
  for (const std::string_view item : net::Items(text)) {
    auto sensor = net::parse_host_port(net::trimmed(item, " "), default_port);
    if (!sensor) return refused(sensor.error().text);
    const bool known = std::any_of(sensors.begin(), sensors.end(), [&](const net::HostPort& other) {
      return net::same_place(other, *sensor);
    });
    if (known) continue;
    if (sensors.size() == kMostSensors)
      return refused("\"" + sensor->to_string() + "\" is one more");
    sensors.push_back(std::move(*sensor));
  }
  std::vector<std::string> texts;
  for (const net::HostPort& sensor : sensors) texts.push_back(sensor.to_string());
  return net::joined(texts);
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
