#include "webhook/registry/service_components.h"

#include <algorithm>
#include <utility>

namespace sidetap::webhook::registry {

std::vector<Backends*> ServiceComponents::update(const std::unordered_set<Backends*>& touched) {
  std::vector<Backends*> turned;
  const auto set = [&turned](Backends& backends, bool partly) {
    if (std::exchange(backends.partly, partly) != partly) turned.push_back(&backends);
  };
  ++walk_;
  for (Backends* first : touched) {
    if (!first->are_linked()) {
      set(*first, false);
    } else if (first->walk != walk_) {
      const std::vector<Backends*> component = component_of(*first);
      const bool partly =
          std::any_of(component.begin(), component.end(), [](const Backends* backends) {
            return backends->are_mixed() || backends->service->answered_by_nodes;
          });
      for (Backends* backends : component) set(*backends, partly);
    }
  }
  rest_.clear();
  return turned;
}

/// A breadth-first search: `found` is also the queue.
std::vector<Backends*> ServiceComponents::component_of(Backends& first) {
  std::vector<Backends*> found;
  visit(first, found);
  for (std::size_t next = 0; next < found.size(); ++next) {
    for (const Slice* slice : found[next]->slices) {
      for (const Member& member : slice->members) follow(*slice, member.address, found);
    }
  }
  return found;
}

void ServiceComponents::visit(Backends& backends, std::vector<Backends*>& found) {
  if (!backends.are_linked() || std::exchange(backends.walk, walk_) == walk_) return;
  found.push_back(&backends);
}

void ServiceComponents::follow(const Slice& slice, const net::IpAddress& endpoint,
                               std::vector<Backends*>& found) {
  ++looked_at_;
  const std::vector<Use>& all = users_.at(endpoint);
  if (all.size() == 1) return;  // this one
  std::vector<Use>& rest = rest_.try_emplace(endpoint, all).first->second;
  looked_at_ += rest.size();
  std::erase_if(rest, [&](const Use& use) {
    if (!share_ports(slice, *use.slice)) return false;
    visit(use.backends(endpoint), found);
    return true;
  });
}

}  // namespace sidetap::webhook::registry
