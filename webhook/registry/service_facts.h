// Reads the relevant parts of Services, EndpointSlices and Nodes. Pure.
//
// What is uncertain is read so that a packet is rather forwarded twice than never: an address that
// a Service may not answer at is left out, and an endpoint that cannot be read counts as untapped.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/net/ip_address.h"

namespace sidetap::webhook::registry {

/// "namespace/name".
using ObjectName = std::string;

// Limits of what is read of one object. They exceed what ordinary clusters use.

/// Further ports of a Service have no front ends.
inline constexpr std::size_t kMostServicePorts = 100;
/// An EndpointSlice with more counts as one for all ports.
inline constexpr std::size_t kMostSlicePorts = 1'000;
/// External addresses of a Service.
inline constexpr std::size_t kMostExternalAddresses = 64;
/// Internal addresses of a Node. It has one of each family.
inline constexpr std::size_t kMostNodeAddresses = 8;
/// What the API allows.
inline constexpr std::size_t kMostNodeNameBytes = 253;

/// A transport protocol (its IANA number) and a port.
struct TransportPort {
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  friend auto operator<=>(const TransportPort&, const TransportPort&) = default;
  friend bool operator==(const TransportPort&, const TransportPort&) = default;
};
/// A port of a Service.
struct ServicePort {
  TransportPort port{};
  std::uint16_t node_port = 0;  ///< 0: none.
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};
/// A Service (v1): its name and its cluster IPs. A headless Service has none.
struct ServiceFacts {
  ObjectName name{};
  std::vector<net::IpAddress> addresses{};
  std::vector<ServicePort> ports{};
  /// Its external IPs, and the addresses of its load balancers that the nodes' proxies answer at.
  /// None of load balancers with source ranges: a proxy may drop what then only the client sees.
  std::vector<net::IpAddress> external{};
  /// Whether its node ports are answered only on nodes with a ready endpoint
  /// (externalTrafficPolicy: Local).
  bool local = false;
  friend bool operator==(const ServiceFacts&, const ServiceFacts&) = default;
};
/// One address of an endpoint. Missing conditions have the defaults of the API's documentation.
struct Endpoint {
  net::IpAddress address{};
  bool ready = true;         ///< kube-proxy sends it connections.
  bool terminating = false;  ///< Its pod is shutting down.
  std::string node{};        ///< Empty: unknown.
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
/// An EndpointSlice (discovery.k8s.io/v1).
struct SliceFacts {
  ObjectName name{};
  ObjectName service{};
  bool v4 = false, v6 = false;  ///< Address families of its backends. Both if they have host names.
  std::vector<Endpoint> endpoints{};
  /// Target ports, ascending. Empty: it may be any port, so that the slice shares its ports with
  /// every other.
  std::vector<TransportPort> ports{};
  bool unreadable = false;  ///< Some endpoints have no address, so they cannot be tapped.
};
/// A Node (v1) and its internal addresses.
struct NodeFacts {
  std::string name{};
  std::vector<net::IpAddress> addresses{};
};

/// Nothing: the object is of another kind or has no name.
std::optional<ServiceFacts> read_service(const nlohmann::json& object);
std::optional<SliceFacts> read_slice(const nlohmann::json& object);
std::optional<NodeFacts> read_node(const nlohmann::json& object);

}  // namespace sidetap::webhook::registry
