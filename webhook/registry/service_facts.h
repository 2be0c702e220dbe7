// What Services and EndpointSlices say, of what matters here. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/net/ip_address.h"

namespace sidetap::webhook::registry {

/// "namespace/name".
using ObjectName = std::string;

/// Of a Service (v1): its name, and its cluster IPs; none when it is headless.
struct ServiceFacts {
  ObjectName name;
  std::vector<net::IpAddress> addresses;
};
/// One address of an endpoint. What its conditions leave open is as the API's documentation says.
struct Endpoint {
  net::IpAddress address;
  bool ready = true;         ///< The proxies send it connections.
  bool terminating = false;  ///< Its pod has been told to end.
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
/// Of an EndpointSlice (discovery.k8s.io/v1).
struct SliceFacts {
  ObjectName name;
  ObjectName service;
  bool v4 = false, v6 = false;  ///< Whose backends these are; both when they have host names.
  std::vector<Endpoint> endpoints;
  bool unreadable =
      false;  ///< There are endpoints that have no address: nobody can be tapped there.
};

/// Nothing: no such object, or without a name.
std::optional<ServiceFacts> read_service(const nlohmann::json& object);
std::optional<SliceFacts> read_slice(const nlohmann::json& object);

}  // namespace sidetap::webhook::registry
