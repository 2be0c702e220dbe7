#include "webhook/registry/tap_set.h"

namespace sidetap::webhook::registry {

void TapSet::review(const net::IpAddress& address) {
  const auto owner = owners_.find(address);
  const Entry* const entry = owner == owners_.end() ? nullptr : &connections_.at(owner->second);
  const bool is_member = entry != nullptr && entry->forwarding;
  taps_.set(address, is_member);
  older_.set(address, is_member && entry->rules < sidetap::registry::kRules);
}

void TapSet::release(ConnectionId connection, const Entry& entry) {
  for (const auto& address : entry.addresses) {
    const auto owner = owners_.find(address);
    if (owner == owners_.end() || owner->second != connection) continue;
    owners_.erase(owner);
    review(address);
  }
  if (entry.forwarding) --forwarding_;
}

void TapSet::update(ConnectionId connection, const std::vector<net::IpAddress>& addresses,
                    bool forwarding, std::uint64_t rules) {
  Entry& entry = connections_[connection];
  release(connection, entry);
  entry = {addresses, forwarding, rules};
  if (forwarding) ++forwarding_;
  for (const auto& address : addresses) {
    const auto [owner, fresh] = owners_.emplace(address, connection);
    if (!fresh && owner->second > connection) continue;
    owner->second = connection;
    review(address);
  }
}

void TapSet::remove(ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  release(connection, found->second);
  connections_.erase(found);
}

bool TapSet::flush(sidetap::registry::Change& into) {
  taps_.flush(into.add.taps, into.remove.taps);
  older_.flush(into.add.older, into.remove.older);
  return into.add != sidetap::registry::Lists() || into.remove != sidetap::registry::Lists();
}

}  // namespace sidetap::webhook::registry
