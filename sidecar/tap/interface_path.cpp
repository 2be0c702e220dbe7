#include "sidecar/tap/interface_path.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include <net/if.h>

#include "sidecar/capture/device.h"
#include "sidecar/delivery/file_delivery.h"
#include "sidecar/delivery/interface_delivery.h"
#include "sidecar/delivery/rpcap_delivery.h"
#include "sidecar/delivery/stream_delivery.h"
#include "sidecar/delivery/vxlan_delivery.h"
#include "sidecar/session/access.h"
#include "sidecar/system/kernel_sockets.h"
#include "sidecar/system/socket_owners.h"
#include "sidecar/tap/interface_choice.h"

namespace sidetap {
namespace {

session::SessionsConfig sessions_config(const DeliveryParts& parts) {
  session::SessionsConfig sessions = parts.options.sessions;
  sessions.description = pod_description(parts.options);
  sessions.is_own_address = [&addresses = parts.addresses](const auto& address) {
    return addresses.is_own(address);
  };
  sessions.buffer_size = static_cast<std::uint32_t>(parts.options.buffer_size);
  sessions.registry_ca = parts.registry_ca;
  return sessions;
}

FileLabels file_labels(const DeliveryParts& parts, const std::string& interface) {
  const RunOptions& options = parts.options;
  FileLabels labels;
  std::string prefix = pod_description(options);
  std::replace(prefix.begin(), prefix.end(), '/', '_');
  labels.prefix = prefix.empty() ? interface : prefix + "_" + interface;
  labels.identities = parts.identities;
  if (labels.identities) return labels;  // no packet is of this pod
  const forwarding::PodLabel pod{options.pod_name, options.pod_namespace, options.node_name};
  labels.label = forwarding::label_of(pod, interface);
  labels.names = forwarding::names_of(
      pod, make_self(options.ownership, parts.addresses.interfaces(), interface).addresses);
  return labels;
}

/// Of the interface; a collector has none, and the pods whose packets it gets are as it is itself.
unsigned usual_mtu(const DeliveryParts& parts, const std::string& interface) {
  const std::vector<net::Interface>& interfaces = parts.addresses.interfaces();
  if (const net::Interface* const found = find_interface(interfaces, interface)) return found->mtu;
  unsigned most = 0;
  for (const net::Interface& each : interfaces) {
    if ((each.flags & IFF_LOOPBACK) == 0 && !each.addresses.empty())
      most = std::max(most, each.mtu);
  }
  return most;
}

StreamParts stream_parts(const DeliveryParts& parts, const std::string& interface,
                         const std::string& prefix) {
  FileLabels labels = file_labels(parts, interface);
  StreamParts stream{
      .heading = {.format = parts.options.output.files.format,
                  .interfaces = {std::move(labels.label)},
                  .names = std::move(labels.names)},
      .identities = parts.identities,
      .exclude = [exclude = parts.exclude, prefix](
                     const std::string& owner,
                     const auto& endpoints) { return exclude(prefix + " " + owner, endpoints); },
      .metrics = &parts.metrics,
  };
  // A collector captures nothing, so a reader may be in its own pod.
  if (!parts.identities)
    stream.is_own_address = [&addresses = parts.addresses](const auto& address) {
      return addresses.is_own(address);
    };
  return stream;
}

}  // namespace

std::string pod_description(const RunOptions& options) {
  if (options.pod_namespace.empty()) return options.pod_name;
  return options.pod_namespace + "/" + options.pod_name;
}

std::string rank_name(const RunOptions& options) {
  const auto& addresses = options.ownership.pod_ips;
  return addresses.empty() ? pod_description(options) : addresses.front().to_string();
}

Receivers receivers_of(const RunOptions& options) {
  Receivers receivers;
  switch (options.output.kind) {
    case OutputKind::kRpcap:
      for (const session::Sensor& sensor : options.sessions.sensors)
        receivers.sensors.push_back(sensor.address.to_string());
      receivers.every = options.sessions.mode == session::SensorMode::kReplicate;
      receivers.balance = options.sessions.mode == session::SensorMode::kBalance;
      // In hash mode, names that are not looked up yet.
      receivers.configured =
          !receivers.sensors.empty() || options.sessions.mode == session::SensorMode::kHash;
      receivers.dialled = receivers.configured;
      break;
    case OutputKind::kVxlan:
      for (const net::HostPort& receiver : options.output.vxlan.receivers)
        receivers.sensors.push_back(receiver.to_string());
      receivers.every = options.output.vxlan.every_receiver;
      receivers.balance = !receivers.every;
      receivers.spread = true;
      break;
    case OutputKind::kPcapOverIp:
      for (const net::HostPort& receiver : options.output.streams.receivers)
        receivers.sensors.push_back(receiver.to_string());
      receivers.every = !receivers.sensors.empty();
      receivers.dialled = !receivers.sensors.empty();
      // Readers that connect are counted one by one only where nobody is dialled: nobody knows who
      // is missing.
      if (receivers.sensors.empty() && options.output.streams.listen)
        receivers.sensors.push_back(options.output.streams.listen->to_string());
      break;
    case OutputKind::kPcap:
    case OutputKind::kInterface:
      break;
  }
  return receivers;
}

void set_receivers(Receivers receivers, CaptureLoopConfig& config) {
  config.pipeline.balance = receivers.balance;
  config.pipeline.spread = receivers.spread;
  config.pipeline.keep_without_capture = receivers.configured;
  config.pipeline.dialled = receivers.dialled;
  config.pipeline.expected = receivers.expected();
  config.sensors = std::move(receivers.sensors);
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

std::shared_ptr<LegPath> make_legs(const RunOptions& options, const CaptureLoopConfig& config) {
  if (options.mesh.mode == MeshMode::kOff) return nullptr;
  LegPathConfig legs;
  legs.mesh.kind = options.mesh.kind;
  legs.mesh.ports = options.mesh.ports;
  // The tap's own: its sessions would forward themselves.
  if (options.status_listen) legs.mesh.excluded.push_back(options.status_listen->port);
  if (options.sessions.passive) legs.mesh.excluded.push_back(options.sessions.passive->listen.port);
  if (options.output.streams.listen)
    legs.mesh.excluded.push_back(options.output.streams.listen->port);
  legs.leave_out_ciphertext = options.mesh.mode == MeshMode::kPlaintext;
  legs.clients = options.mesh.clients;
  legs.device.method = config.method;
  // A probe of the agent shows in its whole head. What is forwarded can change; the forwarders cut.
  legs.device.snaplen = kLongestPacket;
  legs.device.buffer_bytes = config.buffer_bytes;
  legs.hash.seed = config.engine.hash_seed;
  return std::make_shared<LegPath>(
      std::move(legs), LegDevices{capture::make_system_device(), capture::make_system_device()},
      std::make_unique<KernelSocketOwners>());
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
          PacketNamespaces{options.pod_namespace, parts.identities, parts.vnis},
          [&addresses = parts.addresses](const auto& address) { return addresses.is_own(address); },
          loop, stage,
          [exclude = parts.exclude, prefix](const std::string& owner, const auto& endpoints) {
            return exclude(prefix + " " + owner, endpoints);
          },
          &parts.metrics);
    case OutputKind::kInterface:
      return std::make_unique<InterfaceDelivery>(
          parts.executor, options.output.interface, parts.packet_sockets.take(),
          usual_mtu(parts, loop.name()), loop, stage, parts.metrics);
    case OutputKind::kPcapOverIp:
      return std::make_unique<StreamDelivery>(parts.executor, options.output.streams,
                                              stream_parts(parts, loop.name(), prefix), loop,
                                              stage);
    case OutputKind::kRpcap:
      break;
  }
  session::SessionsConfig sessions = session::proved_by_registry(sessions_config(parts));
  sessions.passive.reset();
  return std::make_unique<RpcapDelivery>(parts.executor, std::move(sessions), loop, prefix, stage,
                                         parts.exclude, &parts.metrics);
}

std::unique_ptr<Delivery> make_clients(const DeliveryParts& parts, CaptureLoop& loop) {
  session::SessionsConfig sessions = sessions_config(parts);
  if (!sessions.passive) return nullptr;
  sessions.sensors.clear();
  return std::make_unique<RpcapDelivery>(parts.executor, std::move(sessions), loop, loop.name(), 0,
                                         parts.exclude, &parts.metrics);
}

}  // namespace sidetap
