// Reads the relevant parts of Services and EndpointSlices. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/net/ip_address.h"

namespace sidetap::webhook::registry {

/// "namespace/name".
using ObjectName = std::string;

/// A Service (v1): its name and its cluster IPs. A headless Service has none.
struct ServiceFacts {
  ObjectName name;
  std::vector<net::IpAddress> addresses;
};
/// One address of an endpoint. Missing conditions have the defaults of the API's documentation.
struct Endpoint {
  net::IpAddress address;
  bool ready = true;         ///< kube-proxy sends it connections.
  bool terminating = false;  ///< Its pod is shutting down.
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
/// An EndpointSlice (discovery.k8s.io/v1).
struct SliceFacts {
  ObjectName name;
  ObjectName service;
  bool v4 = false, v6 = false;  ///< Address families of its backends. Both if they have host names.
  std::vector<Endpoint> endpoints;
  bool unreadable = false;  ///< Some endpoints have no address, so they cannot be tapped.
};

/// Nothing: the object is of another kind or has no name.
std::optional<ServiceFacts> read_service(const nlohmann::json& object);
std::optional<SliceFacts> read_slice(const nlohmann::json& object);

}  // namespace sidetap::webhook::registry
