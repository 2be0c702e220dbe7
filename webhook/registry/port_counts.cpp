#include "webhook/registry/port_counts.h"

namespace sidetap::webhook::registry {
namespace {

net::TransportAddress of_any_address(const TransportPort& port) {
  return {net::IpAddress::v4(0), port.protocol, port.port};
}

}  // namespace

void PortCounts::add(std::span<const TransportPort> ports) {
  for (const TransportPort& port : ports) {
    if (++counts_[port] == 1) list_.set(of_any_address(port), true);
  }
}

void PortCounts::remove(std::span<const TransportPort> ports) {
  for (const TransportPort& port : ports) {
    const auto count = counts_.find(port);
    if (--count->second > 0) continue;
    counts_.erase(count);
    list_.set(of_any_address(port), false);
  }
}

}  // namespace sidetap::webhook::registry
