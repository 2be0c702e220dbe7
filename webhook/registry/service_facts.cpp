#include "webhook/registry/service_facts.h"

#include <algorithm>
#include <limits>

#include "shared/json_members.h"
#include "shared/net/transport_address.h"

namespace sidetap::webhook::registry {
namespace {

using nlohmann::json;

constexpr std::uint8_t kTcp = 6;

std::optional<net::IpAddress> address_of(const json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto address = net::IpAddress::parse(value.get_ref<const std::string&>());
  if (!address) return std::nullopt;
  return *address;
}

/// An unspecified address would stand for every node.
void add_address(const json& value, std::size_t most, std::vector<net::IpAddress>& into) {
  const auto address = address_of(value);
  if (!address || address->is_unspecified() || into.size() >= most) return;
  if (std::find(into.begin(), into.end(), *address) == into.end()) into.push_back(*address);
}

/// Nothing: it is none.
std::optional<std::uint16_t> port_number(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  const auto number = value.get<std::int64_t>();
  if (number < 1 || number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return static_cast<std::uint16_t>(number);
}

/// Nothing: no port, or a protocol that is unknown.
std::optional<TransportPort> port_of(const json& item) {
  const auto port = port_number(member(item, "port"));
  const json& name = member(item, "protocol");
  const auto protocol = name.is_null() ? std::optional<std::uint8_t>(kTcp)
                                       : net::transport_protocol(text_or_empty(name));
  if (!port || !protocol) return std::nullopt;
  return TransportPort{*protocol, *port};
}

/// Empty if it has none.
ObjectName name_of(const json& metadata, const std::string& name) {
  const std::string space = text_of(metadata, "namespace");
  return space.empty() || name.empty() ? ObjectName() : space + "/" + name;
}

void read_cluster_ips(const json& spec, ServiceFacts& facts) {
  // "None" (headless) and "" (ExternalName) are not addresses.
  const json& several = member(spec, "clusterIPs");
  if (several.is_array() && !several.empty()) {
    for (const json& item : several) {
      const auto address = address_of(item);
      auto& all = facts.addresses;
      if (address && std::find(all.begin(), all.end(), *address) == all.end())
        all.push_back(*address);
    }
  } else if (const auto address = address_of(member(spec, "clusterIP"))) {
    facts.addresses.push_back(*address);
  }
}

void read_front_ends(const json& object, ServiceFacts& facts) {
  const json& spec = member(object, "spec");
  for (const json& item : member(spec, "ports")) {
    const auto port = port_of(item);
    if (!port || facts.ports.size() >= kMostServicePorts) continue;
    facts.ports.push_back({*port, port_number(member(item, "nodePort")).value_or(0)});
  }
  for (const json& item : member(spec, "externalIPs"))
    add_address(item, kMostExternalAddresses, facts.external);
  if (member(spec, "loadBalancerSourceRanges").empty()) {
    for (const json& item : member(member(member(object, "status"), "loadBalancer"), "ingress")) {
      // In the mode "Proxy", packets go to the load balancer instead of the nodes' proxies.
      const std::string mode = text_of(item, "ipMode");
      if (!mode.empty() && mode != "VIP") continue;
      add_address(member(item, "ip"), kMostExternalAddresses, facts.external);
    }
  }
  facts.local = text_of(spec, "externalTrafficPolicy") == "Local";
}

void read_endpoint(const json& endpoint, SliceFacts& facts) {
  const json& conditions = member(endpoint, "conditions");
  const json& ready = member(conditions, "ready");
  const json& terminating = member(conditions, "terminating");
  Endpoint one;
  one.ready = !ready.is_boolean() || ready.get<bool>();
  one.terminating = terminating.is_boolean() && terminating.get<bool>();
  one.node = text_of(endpoint, "nodeName");
  if (one.node.size() > kMostNodeNameBytes) one.node.clear();
  const json& addresses = member(endpoint, "addresses");
  facts.unreadable |= !addresses.is_array() || addresses.empty();
  for (const json& item : addresses) {
    const auto address = address_of(item);
    // Excludes host names, and addresses of another family than the slice's.
    if (address && (address->is_v4() ? facts.v4 && !facts.v6 : facts.v6 && !facts.v4)) {
      one.address = *address;
      facts.endpoints.push_back(one);
    } else {
      facts.unreadable = true;
    }
  }
}

/// Empty: all ports, or too many of them.
std::vector<TransportPort> target_ports(const json& slice) {
  std::vector<TransportPort> ports;
  for (const json& item : member(slice, "ports")) {
    const auto port = port_of(item);
    if (!port || ports.size() >= kMostSlicePorts) return {};
    ports.push_back(*port);
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

}  // namespace

std::optional<ServiceFacts> read_service(const json& object) {
  const json& metadata = member(object, "metadata");
  ServiceFacts facts;
  facts.name = name_of(metadata, text_of(metadata, "name"));
  if (facts.name.empty()) return std::nullopt;
  read_cluster_ips(member(object, "spec"), facts);
  read_front_ends(object, facts);
  return facts;
}

std::optional<SliceFacts> read_slice(const json& object) {
  const json& metadata = member(object, "metadata");
  SliceFacts facts;
  facts.name = name_of(metadata, text_of(metadata, "name"));
  facts.service =
      name_of(metadata, text_of(member(metadata, "labels"), "kubernetes.io/service-name"));
  if (facts.name.empty() || facts.service.empty()) return std::nullopt;
  const std::string type = text_of(object, "addressType");
  facts.v4 = type != "IPv6";
  facts.v6 = type != "IPv4";
  facts.ports = target_ports(object);
  for (const json& endpoint : member(object, "endpoints")) read_endpoint(endpoint, facts);
  return facts;
}

std::optional<NodeFacts> read_node(const json& object) {
  NodeFacts facts;
  facts.name = text_of(member(object, "metadata"), "name");
  if (facts.name.empty() || facts.name.size() > kMostNodeNameBytes) return std::nullopt;
  for (const json& item : member(member(object, "status"), "addresses")) {
    if (text_of(item, "type") == "InternalIP")
      add_address(member(item, "address"), kMostNodeAddresses, facts.addresses);
  }
  return facts;
}

}  // namespace sidetap::webhook::registry
