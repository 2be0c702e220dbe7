// Parsers for option values that only a tap has.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/config/options.h"
#include "shared/net/host_port.h"
#include "shared/net/text.h"
#include "sidecar/capture/packet_source.h"
#include "sidecar/forwarding/capture_format.h"
#include "sidecar/forwarding/vni_rule.h"
#include "sidecar/session/sessions.h"

namespace sidetap {

/// One or several of the accepted words, separated by commas.
template <typename T>
config::Parser<std::vector<T>> word_list(std::vector<std::pair<std::string, T>> words) {
  return
      [parse = config::word<T>(std::move(words))](std::string_view text) -> Result<std::vector<T>> {
        std::vector<T> values;
        for (const std::string_view item : net::Items(text)) {
          auto value = parse(item);
          if (!value) return Error{value.error().text + "; several separated by commas"};
          values.push_back(*value);
        }
        return values;
      };
}

/// At most 10 sensors, including repetitions. check() removes those later, because the list of IPv6
/// families refers to the sensors as written. The default port is that of RPCAP.
config::Parser<std::vector<session::Sensor>> sensor_list();

config::Parser<forwarding::CaptureFormat> capture_format();
config::Parser<capture::CaptureMethod> capture_method();

config::Parser<std::optional<session::PassiveSettings>> passive_listen();

/// NAMESPACE=NUMBER, each namespace once, at most 1024 of them.
config::Parser<forwarding::VniByNamespace> vni_list();

/// The name of one network interface.
config::Parser<std::string> interface_name();

}  // namespace sidetap
