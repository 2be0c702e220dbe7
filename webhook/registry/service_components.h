// Finds the Services that share endpoints with partly tapped ones. Pure.
//
// Services that share an endpoint (address, protocol and port) form a component, each address
// family for itself. If one of them is partly tapped, all are: an endpoint cannot know by which of
// its Services a packet has reached it. Headless Services do not count, because nobody translates
// an address of theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "webhook/registry/backends.h"

namespace sidetap::webhook::registry {

class ServiceComponents {
 public:
  explicit ServiceComponents(const Users& users) : users_(users) {}

  /// Sets `partly` of the touched backends and of all in their components. Touched must be: those
  /// that have changed, and if they are `partly`, what has shared an endpoint with them. Returns
  /// those that have turned.
  std::vector<Backends*> update(const std::unordered_set<Backends*>& touched);
  /// Endpoints and uses that update() has looked at so far: a measure of its cost.
  std::size_t looked_at() const { return looked_at_; }

 private:
  std::vector<Backends*> component_of(Backends& first);
  void follow(const Slice& slice, const net::IpAddress& endpoint, std::vector<Backends*>& found);
  void visit(Backends& backends, std::vector<Backends*>& found);

  const Users& users_;
  /// Of endpoints with several uses: the uses that this walk has not come to yet. It keeps a walk
  /// linear where many Services share an endpoint.
  std::unordered_map<net::IpAddress, std::vector<Use>> rest_;
  std::uint64_t walk_ = 0;
  std::size_t looked_at_ = 0;
};

}  // namespace sidetap::webhook::registry
