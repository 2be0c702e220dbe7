#include "webhook/registry/tap_set.h"

#include <algorithm>

namespace sidetap::webhook::registry {

bool TapSet::is_member(const net::IpAddress& address) const {
  const auto owner = owners_.find(address);
  return owner != owners_.end() && connections_.at(owner->second).forwarding;
}

void TapSet::release(ConnectionId connection, const Entry& entry) {
  for (const auto& address : entry.addresses) {
    const auto owner = owners_.find(address);
    if (owner == owners_.end() || owner->second != connection) continue;
    owners_.erase(owner);
    touched_.insert(address);
  }
  if (entry.forwarding) --forwarding_;
}

void TapSet::update(ConnectionId connection, const std::vector<net::IpAddress>& addresses,
                    bool forwarding) {
  Entry& entry = connections_[connection];
  release(connection, entry);
  entry = {addresses, forwarding};
  if (forwarding) ++forwarding_;
  for (const auto& address : addresses) {
    const auto [owner, fresh] = owners_.emplace(address, connection);
    if (!fresh && owner->second > connection) continue;
    owner->second = connection;
    touched_.insert(address);
  }
}

void TapSet::remove(ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  release(connection, found->second);
  connections_.erase(found);
}

bool TapSet::changed() const {
  return std::any_of(touched_.begin(), touched_.end(), [this](const auto& address) {
    return is_member(address) != published_.contains(address);
  });
}

std::optional<AddressChange> TapSet::flush() {
  AddressChange delta;
  for (const auto& address : touched_) {
    const bool member = is_member(address);
    if (member == published_.contains(address)) continue;
    (member ? delta.add : delta.remove).push_back(address);
  }
  touched_.clear();
  if (delta.add.empty() && delta.remove.empty()) return std::nullopt;
  published_.insert(delta.add.begin(), delta.add.end());
  for (const auto& address : delta.remove) published_.erase(address);
  return delta;
}

}  // namespace sidetap::webhook::registry
