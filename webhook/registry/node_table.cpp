#include "webhook/registry/node_table.h"

#include <utility>

namespace sidetap::webhook::registry {

void NodeTable::begin() {
  ++round_;
  left_out_ = 0;
}

Node& NodeTable::at(const std::string& name) {
  const auto found = nodes_.try_emplace(name).first;
  found->second.name = &found->first;
  return found->second;
}

void NodeTable::forget_empty(Nodes::iterator node) {
  if (!node->second.listed && node->second.endpoints == 0) nodes_.erase(node);
}

void NodeTable::set_addresses(Node& node, std::vector<net::IpAddress> addresses) {
  for (const auto& address : addresses) {
    if (++holders_[address] == 1) list_.set(address, true);
  }
  for (const auto& address : node.addresses) {
    const auto holders = holders_.find(address);
    if (--holders->second > 0) continue;
    holders_.erase(holders);
    list_.set(address, false);
  }
  node.addresses = std::move(addresses);
}

bool NodeTable::set(NodeFacts facts) {
  const auto known = nodes_.find(facts.name);
  const bool fresh = known == nodes_.end() || !known->second.listed;
  if (fresh && listed_ >= most_) {
    ++left_out_;
    return false;
  }
  Node& node = at(facts.name);
  node.round = round_;
  node.listed = true;
  if (fresh) ++listed_;
  if (node.addresses == facts.addresses) return false;
  set_addresses(node, std::move(facts.addresses));
  return node.endpoints > 0;
}

bool NodeTable::remove(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || !std::exchange(found->second.listed, false)) return false;
  --listed_;
  const bool matters = found->second.endpoints > 0 && !found->second.addresses.empty();
  set_addresses(found->second, {});
  forget_empty(found);
  return matters;
}

bool NodeTable::end() {
  std::vector<std::string> old;
  for (const auto& [name, node] : nodes_) {
    if (node.listed && node.round != round_) old.push_back(name);
  }
  bool matters = false;
  for (const auto& name : old) matters |= remove(name);
  return matters;
}

const Node* NodeTable::enter(const std::string& name) {
  if (name.empty()) return nullptr;
  Node& node = at(name);
  ++node.endpoints;
  return &node;
}

void NodeTable::leave(const Node* node) {
  if (node == nullptr) return;
  const auto found = nodes_.find(*node->name);
  --found->second.endpoints;
  forget_empty(found);
}

}  // namespace sidetap::webhook::registry
