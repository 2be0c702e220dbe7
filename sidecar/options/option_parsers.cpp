#include "sidecar/options/option_parsers.h"

#include "shared/net/text.h"
#include "shared/tap/assigned.h"
#include "sidecar/forwarding/vxlan_output.h"

namespace sidetap {
namespace {

/// Faster than any interface. Multiplication by a unit cannot overflow below it.
constexpr std::uint64_t kMostBits = 1'000'000'000'000'000;

}  // namespace

config::Parser<std::vector<session::Sensor>> sensor_list() {
  return [parse = config::host_port_list(tap::kSensorPort, 10),
          other = config::host_port_list(forwarding::kVxlanPort, 10)](
             std::string_view text) -> Result<std::vector<session::Sensor>> {
    auto addresses = parse(text);
    if (!addresses) return addresses.error();
    const auto elsewhere = other(text).value();
    std::vector<session::Sensor> sensors;
    for (std::size_t i = 0; i < addresses->size(); ++i)
      sensors.push_back(
          {.address = (*addresses)[i], .default_port = (*addresses)[i].port != elsewhere[i].port});
    return sensors;
  };
}

config::Parser<std::optional<session::PassiveSettings>> passive_listen() {
  return [parse = config::listen_address(session::kPassivePort)](
             std::string_view text) -> Result<std::optional<session::PassiveSettings>> {
    auto listen = parse(text);
    if (!listen) return listen.error();
    session::PassiveSettings settings;
    settings.listen = std::move(*listen);
    return std::optional(std::move(settings));
  };
}

config::Parser<std::uint64_t> bit_rate() {
  return [](std::string_view text) -> Result<std::uint64_t> {
    const auto value = net::take_number<std::uint64_t>(text);
    const std::uint64_t unit = text.empty()  ? 1
                               : text == "K" ? 1'000
                               : text == "M" ? 1'000'000
                               : text == "G" ? 1'000'000'000
                                             : 0;
    if (!value || unit == 0 || *value > kMostBits / unit)
      return Error{"bits per second, for example 64K, 100M or 2G; 0 for no bound"};
    return *value * unit;
  };
}

}  // namespace sidetap
