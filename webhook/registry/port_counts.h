// Counts the EndpointSlices by their target ports, and lists the ports. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <span>

#include "shared/net/transport_address.h"
#include "shared/registry/messages.h"
#include "webhook/registry/bounded_list.h"
#include "webhook/registry/service_facts.h"

namespace sidetap::webhook::registry {

class PortCounts {
 public:
  /// Adds or removes a slice. What is removed must have been added.
  void add(std::span<const TransportPort> ports);
  void remove(std::span<const TransportPort> ports);

  /// The ports of at least one slice, with the address 0.0.0.0.
  BoundedList<net::TransportAddress>& list() { return list_; }
  const BoundedList<net::TransportAddress>& list() const { return list_; }

 private:
  std::map<TransportPort, std::size_t> counts_;
  BoundedList<net::TransportAddress> list_{sidetap::registry::kMostServerPorts};
};

}  // namespace sidetap::webhook::registry
