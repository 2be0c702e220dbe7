#include "sidecar/tap/interface_path.h"

#include <algorithm>
#include <random>
#include <utility>

#include "shared/telemetry/log.h"
#include "sidecar/delivery/file_delivery.h"
#include "sidecar/delivery/rpcap_delivery.h"
#include "sidecar/delivery/vxlan_delivery.h"
#include "sidecar/system/kernel_sockets.h"
#include "sidecar/tap/interface_choice.h"

namespace sidetap {
namespace {

/// Sets who receives packets, and which packets each gets.
void set_receivers(const RunOptions& options, CaptureLoopConfig& config) {
  switch (options.output.kind) {
    case OutputKind::kRpcap:
      for (const session::Sensor& sensor : options.sessions.sensors)
        config.sensors.push_back(sensor.address.to_string());
      config.pipeline.balance = options.sessions.mode == session::SensorMode::kBalance;
      if (options.sessions.mode == session::SensorMode::kReplicate)
        config.pipeline.expected = config.sensors;
      break;
    case OutputKind::kVxlan:
      for (const net::HostPort& receiver : options.output.vxlan.receivers)
        config.sensors.push_back(receiver.to_string());
      config.pipeline.balance = !options.output.vxlan.every_receiver;
      config.pipeline.spread = true;
      if (options.output.vxlan.every_receiver) config.pipeline.expected = config.sensors;
      break;
    case OutputKind::kPcap:
      break;
  }
}

session::SessionsConfig sessions_config(const DeliveryParts& parts, const std::string& interface,
                                        bool first) {
  session::SessionsConfig sessions = parts.options.sessions;
  sessions.description = pod_description(parts.options);
  sessions.is_own_address = [&addresses = parts.addresses](const auto& address) {
    return addresses.is_own(address);
  };
  sessions.buffer_size = static_cast<std::uint32_t>(parts.options.buffer_size);
  if (sessions.passive && !first) {
    telemetry::warn(
        "clients are not offered this interface: they get the first that has an address of the "
        "pod",
        {{"interface", interface}});
    sessions.passive.reset();
  }
  return sessions;
}

std::string file_prefix(const RunOptions& options, const std::string& interface) {
  std::string pod = pod_description(options);
  std::replace(pod.begin(), pod.end(), '/', '_');
  return pod.empty() ? interface : pod + "_" + interface;
}

}  // namespace

std::string pod_description(const RunOptions& options) {
  if (options.pod_namespace.empty()) return options.pod_name;
  return options.pod_namespace + "/" + options.pod_name;
}

CaptureLoopConfig capture_config(const RunOptions& options, const PodAddresses& addresses,
                                 const std::string& interface, std::size_t backlog) {
  CaptureLoopConfig config;
  config.interface = interface;
  config.description = pod_description(options);
  set_receivers(options, config);
  config.pipeline.fidelity = options.fidelity;
  const net::Interface* const found = find_interface(addresses.interfaces(), interface);
  config.pipeline.fidelity.mtu = found != nullptr ? found->mtu : 0;
  config.pipeline.rate_limit = options.rate_limit;
  config.pipeline.backlog = backlog;
  config.pipeline.keep_without_capture =
      !options.sessions.sensors.empty() || options.output.kind != OutputKind::kRpcap;
  config.pipeline.peers_stand_in = options.registry.address.has_value();
  config.engine = make_engine_config(
      options.ownership, make_self(options.ownership, addresses.interfaces(), interface),
      addresses.gateways());
  const auto ephemeral = read_port_range();
  config.engine.ephemeral = ephemeral ? *ephemeral : ownership::PortRange{};
  config.engine.peers_change = options.registry.address.has_value();
  config.engine.hash_seed = std::random_device{}() * 0x100000001ULL ^ std::random_device{}();
  config.unowned_peers = unowned_peers(options.ownership, config.engine.tapped_peers);
  config.snaplen = options.sessions.snaplen;
  config.method = options.capture_method;
  config.buffer_bytes = options.buffer_size;
  config.flush_interval = std::chrono::milliseconds(options.flush_interval_ms);
  return config;
}

std::unique_ptr<Delivery> make_delivery(const DeliveryParts& parts, CaptureLoop& loop, bool first) {
  const Exclude exclude = [&exclusion = parts.exclusion](const auto& owner, const auto& endpoints) {
    return exclusion.exclude(owner, endpoints);
  };
  const RunOptions& options = parts.options;
  const std::string& interface = loop.name();
  switch (options.output.kind) {
    case OutputKind::kPcap:
      return std::make_unique<FileDelivery>(parts.executor, options.output.files,
                                            file_prefix(options, interface), loop);
    case OutputKind::kVxlan:
      return std::make_unique<VxlanDelivery>(
          parts.executor, options.output.vxlan,
          [&addresses = parts.addresses](const auto& address) { return addresses.is_own(address); },
          loop,
          [exclude, interface](const std::string& owner, const auto& endpoints) {
            return exclude(interface + " " + owner, endpoints);
          },
          &parts.metrics);
    case OutputKind::kRpcap:
      break;
  }
  return std::make_unique<RpcapDelivery>(parts.executor, sessions_config(parts, interface, first),
                                         loop, interface, exclude, &parts.metrics);
}

}  // namespace sidetap
