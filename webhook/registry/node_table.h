// The nodes: their addresses, and which of them have endpoints. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/registry/messages.h"
#include "webhook/registry/bounded_list.h"
#include "webhook/registry/service_facts.h"

namespace sidetap::webhook::registry {

struct Node {
  const std::string* name = nullptr;
  std::vector<net::IpAddress> addresses;  // none unless it is listed
  std::size_t endpoints = 0;
  bool listed = false;  // by a Node object; otherwise only endpoints name it
  std::uint32_t round = 0;
};

class NodeTable {
 public:
  /// Starts a list, as ServiceTable does. Nodes beyond `most` are left out.
  explicit NodeTable(std::size_t most = sidetap::registry::kMostNodes) : most_(most) {}
  void begin();
  // These return whether the addresses of a node with endpoints have changed.
  bool set(NodeFacts facts);
  bool remove(const std::string& name);
  bool end();

  /// Counts an endpoint on a node. The node stays valid until leave() was called as often. Null for
  /// an empty name.
  const Node* enter(const std::string& name);
  void leave(const Node* node);

  /// The addresses of all nodes.
  BoundedList<net::IpAddress>& list() { return list_; }
  const BoundedList<net::IpAddress>& list() const { return list_; }
  /// Nodes without a place. Their addresses are not known.
  std::size_t left_out() const { return left_out_; }

 private:
  using Nodes = std::map<std::string, Node>;

  Node& at(const std::string& name);
  void set_addresses(Node& node, std::vector<net::IpAddress> addresses);
  void forget_empty(Nodes::iterator node);

  const std::size_t most_;
  Nodes nodes_;
  std::map<net::IpAddress, std::size_t> holders_;
  BoundedList<net::IpAddress> list_{sidetap::registry::kMostNodes};
  std::uint32_t round_ = 0;
  std::size_t listed_ = 0, left_out_ = 0;
};

}  // namespace sidetap::webhook::registry
