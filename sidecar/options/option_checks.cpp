#include <algorithm>
#include <string>
#include <utility>

#include "shared/net/distinct.h"
#include "shared/read_file.h"
#include "shared/tap/assigned.h"
#include "sidecar/options/options.h"
#include "sidecar/options/stream_options.h"

namespace sidetap {
namespace {

Result<void> check_passive(RunOptions& options) {
  auto& passive = options.sessions.passive;
  if (!passive) {
    if (!options.passive_allow.empty()) return Error{"--passive-allow: needs --passive-listen"};
    return {};
  }
  if (options.interfaces.size() > 1)
    return Error{"--passive-listen: needs a single interface, but --interface names " +
                 std::to_string(options.interfaces.size())};
  passive->clients = options.passive_allow;
  passive->most_sessions = options.passive_sessions;
  return {};
}

std::string flag_of(OutputKind kind) {
  switch (kind) {
    case OutputKind::kVxlan:
      return "--output vxlan";
    case OutputKind::kPcap:
      return "--output pcap";
    case OutputKind::kPcapOverIp:
      return "--output pcap-over-ip";
    case OutputKind::kInterface:
      return "--output interface";
    case OutputKind::kRpcap:
      break;
  }
  return "--output rpcap";
}

/// Packets stay in the pod: nobody is dialled.
bool stays_in_pod(OutputKind kind) {
  return kind == OutputKind::kPcap || kind == OutputKind::kInterface;
}

/// Options of one output need that output, and some outputs need theirs.
Result<void> check_places(const RunOptions& options) {
  const OutputOptions& output = options.output;
  const bool files = output.kind == OutputKind::kPcap;
  if (!files && !output.files.folder.empty()) return Error{"--pcap-dir: needs --output pcap"};
  if (files && output.files.folder.empty()) return Error{"--pcap-dir: required with --output pcap"};
  const bool interface = output.kind == OutputKind::kInterface;
  const std::string& name = output.interface.name;
  if (!interface && !name.empty()) return Error{"--output-interface: needs --output interface"};
  if (interface && name.empty())
    return Error{"--output-interface: required with --output interface"};
  if (std::find(options.interfaces.begin(), options.interfaces.end(), name) !=
      options.interfaces.end())
    return Error{"--output-interface " + name + ": is itself captured, as --interface says"};
  if (!output.vxlan.vni.configured.empty() && !output.vxlan.vni.by_namespace)
    return Error{"--vxlan-vnis: needs --vxlan-vni-by-namespace on"};
  return {};
}

/// Options of RPCAP sessions cannot be combined with other outputs.
Result<void> check_output(RunOptions& options) {
  session::SessionsConfig& sessions = options.sessions;
  if (auto places = check_places(options); !places) return places;
  if (options.output.kind == OutputKind::kRpcap) return {};
  const std::string output = flag_of(options.output.kind);
  if (sessions.passive) return Error{"--passive-listen: cannot be combined with " + output};
  if (!sessions.user.empty() || !options.password_file.empty())
    return Error{"--user: cannot be combined with " + output + ", which has no authentication"};
  if (sessions.tls.role != session::TlsRole::kNone)
    return Error{"--sensor-tls: cannot be combined with " + output};
  if (options.output.kind != OutputKind::kVxlan) return {};
  if (sessions.mode == session::SensorMode::kFailover)
    return Error{
        "--sensor-mode failover: cannot be combined with --output vxlan, whose receivers do not "
        "answer"};
  if (sessions.mode == session::SensorMode::kHash)
    return Error{
        "--sensor-mode hash: cannot be combined with --output vxlan, whose receivers do not "
        "answer"};
  for (session::Sensor& sensor : sessions.sensors) {
    if (sensor.default_port) sensor.address.port = tap::kVxlanPort;
  }
  return {};
}

/// With --output vxlan, the options for sensors name receivers.
void take_receivers(const session::SessionsConfig& sessions, VxlanOptions& into) {
  into.receivers.clear();
  for (const session::Sensor& sensor : sessions.sensors) into.receivers.push_back(sensor.address);
  into.every_receiver = sessions.mode == session::SensorMode::kReplicate;
  into.mtu = sessions.data_mtu;
}

}  // namespace

Result<void> check(RunOptions& options) {
  if (auto checked = check_values(options); !checked) return checked;
  if (options.password_file.empty()) return {};
  auto password = read_value(options.password_file);
  if (!password) return Error{"--password-file: " + password.error().text};
  options.sessions.password = std::move(*password);
  return {};
}

Result<void> check_values(RunOptions& options) {
  session::SessionsConfig& sessions = options.sessions;
  if (auto output = check_output(options); !output) return output;
  if (auto passive = check_passive(options); !passive) return passive;
  if (auto streams = check_streams(options.output, options.interfaces.size()); !streams)
    return streams;
  const bool dials =
      options.output.kind == OutputKind::kRpcap || options.output.kind == OutputKind::kVxlan;
  if (dials && sessions.sensors.empty() && !sessions.passive)
    return Error{"--sensor (env SENSOR): required: HOST[:PORT], or several separated by commas"};
  const bool secret = !sessions.secret_folder.empty();  // may hold what the options do not name
  if (!secret && sessions.user.empty() != options.password_file.empty())
    return Error{"--user and --password-file: both or neither"};
  if (!secret && sessions.tls.role == session::TlsRole::kServer &&
      (sessions.tls.certificate_file.empty() || sessions.tls.key_file.empty()))
    return Error{
        "--sensor-tls rpcaps: needs --sensor-tls-cert and --sensor-tls-key, since the tap answers "
        "the sensor's handshake"};
  if (auto registry = check_registry(options.registry); !registry) return registry;
  if (sessions.tls.role == session::TlsRole::kRegistry && options.registry.ca.empty())
    return Error{"--sensor-tls registry: needs --registry and --registry-ca, whose CA it takes"};
  if (options.registry.token_file == tap::kTokenFromOrders && !options.stdin_orders)
    return Error{"--registry-token-file -: needs --stdin-orders on, which brings the token"};
  const bool encrypted =
      stays_in_pod(options.output.kind) ||
      (options.output.kind == OutputKind::kRpcap && sessions.tls.role != session::TlsRole::kNone);
  if (auto mesh = check_mesh(options.mesh, encrypted); !mesh) return mesh;
  const auto& families = options.ipv6_families;
  if (families.size() != 1 && families.size() != sessions.sensors.size())
    return Error{"--ipv6-family: " + std::to_string(families.size()) +
                 " names; accepted: one, or one for each of the " +
                 std::to_string(sessions.sensors.size()) + " sensors of --sensor"};
  for (std::size_t i = 0; i < sessions.sensors.size(); ++i)
    sessions.sensors[i].ipv6_family = families[families.size() == 1 ? 0 : i];
  sessions.sensors = net::distinct(std::move(sessions.sensors),
                                   [](const session::Sensor& a, const session::Sensor& b) {
                                     return net::same_place(a.address, b.address);
                                   });
  if (options.output.kind == OutputKind::kVxlan) take_receivers(sessions, options.output.vxlan);
  return {};
}

}  // namespace sidetap
