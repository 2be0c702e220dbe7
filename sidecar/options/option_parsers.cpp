#include "sidecar/options/option_parsers.h"

#include "shared/tap/assigned.h"
#include "sidecar/forwarding/vxlan_output.h"

namespace sidetap {

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

}  // namespace sidetap
