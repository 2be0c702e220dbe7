#include "sidecar/tap/interface_path.h"

#include <algorithm>
#include <random>
#include <utility>

#include "sidecar/delivery/file_delivery.h"
#include "sidecar/delivery/rpcap_delivery.h"
#include "sidecar/delivery/vxlan_delivery.h"
#include "sidecar/system/kernel_sockets.h"
#include "sidecar/tap/interface_choice.h"

namespace sidetap {
namespace {

void set_receivers(Receivers receivers, CaptureLoopConfig& config) {
  config.pipeline.balance = receivers.balance;
  config.pipeline.spread = receivers.spread;
  config.pipeline.keep_without_capture = receivers.configured;
  config.pipeline.expected = receivers.expected();
  config.sensors = std::move(receivers.sensors);
}

session::SessionsConfig sessions_config(const DeliveryParts& parts) {
  session::SessionsConfig sessions = parts.options.sessions;
  sessions.description = pod_description(parts.options);
  sessions.is_own_address = [&addresses = parts.addresses](const auto& address) {
    return addresses.is_own(address);
  };
  sessions.buffer_size = static_cast<std::uint32_t>(parts.options.buffer_size);
  return sessions;
}

Exclude exclude_by(const DeliveryParts& parts) {
  return [&exclusion = parts.exclusion](const auto& owner, const auto& endpoints) {
    return exclusion.exclude(owner, endpoints);
  };
}

FileLabels file_labels(const DeliveryParts& parts, const std::string& interface) {
  const RunOptions& options = parts.options;
  FileLabels labels;
  std::string prefix = pod_description(options);
  std::replace(prefix.begin(), prefix.end(), '/', '_');
  labels.prefix = prefix.empty() ? interface : prefix + "_" + interface;
  const forwarding::PodLabel pod{options.pod_name, options.pod_namespace, options.node_name};
  labels.label = forwarding::label_of(pod, interface);
  labels.names = forwarding::names_of(
      pod, make_self(options.ownership, parts.addresses.interfaces(), interface).addresses);
  return labels;
}

}  // namespace

std::string pod_description(const RunOptions& options) {
  if (options.pod_namespace.empty()) return options.pod_name;
  return options.pod_namespace + "/" + options.pod_name;
}

Receivers receivers_of(const RunOptions& options) {
  Receivers receivers;
  switch (options.output.kind) {
    case OutputKind::kRpcap:
      for (const session::Sensor& sensor : options.sessions.sensors)
        receivers.sensors.push_back(sensor.address.to_string());
      receivers.every = options.sessions.mode == session::SensorMode::kReplicate;
      receivers.balance = options.sessions.mode == session::SensorMode::kBalance;
      receivers.configured = !receivers.sensors.empty();
      break;
    case OutputKind::kVxlan:
      for (const net::HostPort& receiver : options.output.vxlan.receivers)
        receivers.sensors.push_back(receiver.to_string());
      receivers.every = options.output.vxlan.every_receiver;
      receivers.balance = !receivers.every;
      receivers.spread = true;
      break;
    case OutputKind::kPcap:
      break;
  }
  return receivers;
}

CaptureLoopConfig capture_config(const RunOptions& options, const PodAddresses& addresses,
                                 const std::string& interface, std::size_t backlog) {
  CaptureLoopConfig config;
  config.interface = interface;
  config.description = pod_description(options);
  set_receivers(receivers_of(options), config);
  config.pipeline.fidelity = options.fidelity;
  const net::Interface* const found = find_interface(addresses.interfaces(), interface);
  config.pipeline.fidelity.mtu = found != nullptr ? found->mtu : 0;
  config.pipeline.narrowing = options.narrowing;
  config.pipeline.backlog = backlog;
  config.pipeline.peers_stand_in = options.registry.address.has_value();
  config.engine = make_engine_config(
      options.ownership, make_self(options.ownership, addresses.interfaces(), interface),
      addresses.gateways());
  const auto ephemeral = read_port_range();
  config.engine.ephemeral = ephemeral ? *ephemeral : ownership::PortRange{};
  config.engine.peers_change = options.registry.address.has_value();
  config.engine.hash_seed = std::random_device{}() * 0x100000001ULL ^ std::random_device{}();
  config.unowned_peers = unowned_peers(options.ownership, config.engine.tapped_peers);
  config.method = options.capture_method;
  config.buffer_bytes = options.buffer_size;
  config.flush_interval = std::chrono::milliseconds(options.flush_interval_ms);
  return config;
}

std::unique_ptr<Delivery> make_delivery(const DeliveryParts& parts, CaptureLoop& loop,
                                        std::uint64_t stage) {
  const RunOptions& options = parts.options;
  const std::string prefix = owner_prefix(loop.name(), stage);
  switch (options.output.kind) {
    case OutputKind::kPcap:
      return std::make_unique<FileDelivery>(parts.executor, options.output.files,
                                            file_labels(parts, loop.name()), loop, stage);
    case OutputKind::kVxlan:
      return std::make_unique<VxlanDelivery>(
          parts.executor, options.output.vxlan,
          [&addresses = parts.addresses](const auto& address) { return addresses.is_own(address); },
          loop, stage,
          [exclude = exclude_by(parts), prefix](const std::string& owner, const auto& endpoints) {
            return exclude(prefix + " " + owner, endpoints);
          },
          &parts.metrics);
    case OutputKind::kRpcap:
      break;
  }
  session::SessionsConfig sessions = sessions_config(parts);
  sessions.passive.reset();
  return std::make_unique<RpcapDelivery>(parts.executor, std::move(sessions), loop, prefix, stage,
                                         exclude_by(parts), &parts.metrics);
}

std::unique_ptr<Delivery> make_clients(const DeliveryParts& parts, CaptureLoop& loop) {
  session::SessionsConfig sessions = sessions_config(parts);
  if (!sessions.passive) return nullptr;
  sessions.sensors.clear();
  return std::make_unique<RpcapDelivery>(parts.executor, std::move(sessions), loop, loop.name(), 0,
                                         exclude_by(parts), &parts.metrics);
}

}  // namespace sidetap
