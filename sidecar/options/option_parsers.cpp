#include "sidecar/options/option_parsers.h"

#include <utility>

#include "shared/tap/assigned.h"

namespace sidetap {
namespace {

constexpr std::size_t kMostVnis = 1024;

}  // namespace

config::Parser<std::vector<session::Sensor>> sensor_list() {
  return [parse = config::host_port_list(tap::kSensorPort, 10),
          other = config::host_port_list(tap::kVxlanPort, 10)](
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

config::Parser<forwarding::CaptureFormat> capture_format() {
  return config::word<forwarding::CaptureFormat>(
      {{"pcap", forwarding::CaptureFormat::kPcap}, {"pcapng", forwarding::CaptureFormat::kPcapng}});
}

config::Parser<capture::CaptureMethod> capture_method() {
  return config::word<capture::CaptureMethod>({{"auto", capture::CaptureMethod::kAuto},
                                               {"ring", capture::CaptureMethod::kRing},
                                               {"libpcap", capture::CaptureMethod::kLibpcap}});
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

config::Parser<forwarding::VniByNamespace> vni_list() {
  return [number = config::number<std::uint32_t>(0, forwarding::kMostVni, "")](
             std::string_view text) -> Result<forwarding::VniByNamespace> {
    forwarding::VniByNamespace vnis;
    for (const std::string_view item : net::Items(text)) {
      const auto equals = item.find('=');
      const std::string_view name = item.substr(0, equals);
      const auto vni = number(equals == item.npos ? std::string_view() : item.substr(equals + 1));
      if (!vni || !forwarding::is_namespace(name) || vnis.size() == kMostVnis ||
          !vnis.emplace(name, *vni).second)
        return Error{
            "NAMESPACE=NUMBER,... with numbers from 0 to 16777215, each namespace once, at most "
            "1024 of them"};
    }
    return vnis;
  };
}

config::Parser<std::string> interface_name() {
  return [parse = config::interface_names()](std::string_view text) -> Result<std::string> {
    auto names = parse(text);
    if (!names || names->size() != 1) return Error{"the name of a network interface"};
    return std::move(names->front());
  };
}

}  // namespace sidetap
