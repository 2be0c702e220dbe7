#include "webhook/registry/front_ends.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace sidetap::webhook::registry {
namespace {

using net::IpAddress;
using net::TransportAddress;

bool is_cluster_ip(const TransportAddress& claim) { return claim.port == 0; }

/// The addresses of the nodes with a ready endpoint, in the family of the backends.
std::set<IpAddress> local_nodes(const Backends& backends) {
  std::set<IpAddress> addresses;
  const Node* last = nullptr;  // slices are often sorted by node
  for (const Slice* slice : backends.slices) {
    for (const Member& member : slice->members) {
      if (member.part != Part::kReady || std::exchange(last, member.node) == member.node) continue;
      if (member.node == nullptr) continue;
      for (const IpAddress& address : member.node->addresses)
        if (address.is_v4() != backends.v6) addresses.insert(address);
    }
  }
  return addresses;
}

std::set<IpAddress> node_addresses(const Backends& backends, bool nodes_known) {
  const ServiceFacts& facts = backends.service->facts;
  const bool has_node_ports = std::any_of(facts.ports.begin(), facts.ports.end(),
                                          [](const ServicePort& p) { return p.node_port != 0; });
  if (!has_node_ports) return {};
  if (!facts.local) return {backends.v6 ? IpAddress() : IpAddress::v4(0)};
  return nodes_known ? local_nodes(backends) : std::set<IpAddress>();
}

}  // namespace

std::vector<TransportAddress> claims_of(const Backends& backends, bool nodes_known,
                                        std::size_t most) {
  std::vector<TransportAddress> claims;
  if (!backends.are_linked()) return claims;
  const ServiceFacts& facts = backends.service->facts;
  for (const IpAddress& vip : backends.vips) claims.push_back({vip, 0, 0});
  for (const IpAddress& address : facts.external) {
    if (address.is_v4() == backends.v6) continue;
    for (const ServicePort& each : facts.ports)
      claims.push_back({address, each.port.protocol, each.port.port});
  }
  for (const IpAddress& address : node_addresses(backends, nodes_known)) {
    if (claims.size() > most + backends.vips.size()) break;
    for (const ServicePort& each : facts.ports) {
      if (each.node_port != 0) claims.push_back({address, each.port.protocol, each.node_port});
    }
  }
  std::sort(claims.begin(), claims.end());
  claims.erase(std::unique(claims.begin(), claims.end()), claims.end());
  return claims;
}

void FrontEnds::claim(Backends& backends, bool nodes_known) {
  std::vector<TransportAddress> claims = claims_of(backends, nodes_known, most_);
  const auto wanted = static_cast<std::size_t>(
      std::count_if(claims.begin(), claims.end(), std::not_fn(is_cluster_ip)));
  wanted_ += wanted;
  wanted_ -= std::exchange(backends.front_ends, wanted);
  if (are_too_many()) {
    withheld_ = true;
    std::erase_if(claims, std::not_fn(is_cluster_ip));
  }
  replace(backends, std::move(claims));
}

void FrontEnds::withdraw(Backends& backends) {
  wanted_ -= std::exchange(backends.front_ends, std::size_t{0});
  replace(backends, {});
}

void FrontEnds::replace(Backends& backends, std::vector<TransportAddress> claims) {
  std::vector<TransportAddress> changed;
  std::set_difference(backends.claims.begin(), backends.claims.end(), claims.begin(), claims.end(),
                      std::back_inserter(changed));
  for (const TransportAddress& old : changed) {
    const auto owners = owners_.find(old);
    std::erase(owners->second, &backends);
    if (owners->second.empty()) owners_.erase(owners);
  }
  touched_.insert(changed.begin(), changed.end());
  changed.clear();
  std::set_difference(claims.begin(), claims.end(), backends.claims.begin(), backends.claims.end(),
                      std::back_inserter(changed));
  for (const TransportAddress& fresh : changed) owners_[fresh].push_back(&backends);
  touched_.insert(changed.begin(), changed.end());
  backends.claims = std::move(claims);
}

void FrontEnds::turned(const Backends& backends) {
  touched_.insert(backends.claims.begin(), backends.claims.end());
}

void FrontEnds::settle() {
  for (const TransportAddress& claim : touched_) {
    const auto owners = owners_.find(claim);
    const bool due = owners != owners_.end() &&
                     std::all_of(owners->second.begin(), owners->second.end(),
                                 [](const Backends* backends) { return backends->qualifies; });
    is_cluster_ip(claim) ? cluster_ips_.set(claim.address, due) : others_.set(claim, due);
  }
  touched_.clear();
}

}  // namespace sidetap::webhook::registry
