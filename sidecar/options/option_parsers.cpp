#include "sidecar/options/option_parsers.h"

#include <charconv>

#include "shared/net/distinct.h"
#include "sidecar/forwarding/vxlan_output.h"

namespace sidetap {

config::Parser<std::vector<std::string>> name_list() {
  return [](std::string_view text) -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    for (;;) {
      const std::size_t comma = std::min(text.find(','), text.size());
      const std::string_view name = text.substr(0, comma);
      if (name.empty() || name.size() > 15 || name.find_first_of(" /") != name.npos)
        return Error{"names of network interfaces, separated by commas"};
      names.emplace_back(name);
      if (comma == text.size()) return net::distinct(std::move(names));
      text.remove_prefix(comma + 1);
    }
  };
}

config::Parser<std::vector<session::Sensor>> sensor_list() {
  return [parse = config::host_port_list(session::kActivePort, 10),
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
    const Error accepted{"bits per second, for example 64K, 100M or 2G; 0 for no bound"};
    std::uint64_t unit = 1;
    if (!text.empty()) {
      const char last = text.back();
      unit = last == 'K' ? 1'000 : last == 'M' ? 1'000'000 : last == 'G' ? 1'000'000'000 : 1;
      if (unit != 1) text.remove_suffix(1);
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > 1'000'000'000'000)
      return accepted;
    return value * unit;
  };
}

}  // namespace sidetap
