// How ServiceTable follows the endpoints of Services and their taps.
#include <algorithm>

#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {

void ServiceTable::slices_begin() {
  ++slice_round_;
  slice_over_limit_ = false;
  listing_slices_ = true;
}

/// Depends on what is known of the endpoint so far: call it before the slice replaces the previous
/// one.
Part ServiceTable::part_of(const Endpoint& endpoint, const Service& service) const {
  if (endpoint.ready) return Part::kReady;
  bool known = false;
  bool was_ready = false;
  if (const auto users = users_.find(endpoint.address); users != users_.end()) {
    for (const Use& use : users->second) {
      if (use.slice->service != &service) continue;
      known = true;
      was_ready |= use.part != Part::kIdle;
    }
  }
  // An endpoint in a list may have been ready since the previous list.
  const bool may_have_been = was_ready || listing_slices_ || (!known && endpoint.terminating);
  if (!may_have_been) return Part::kIdle;
  return endpoint.terminating ? Part::kLeaving : Part::kUnready;
}

/// Leave its nodes when it is gone.
Slice ServiceTable::slice_of(const SliceFacts& facts) {
  Slice slice;
  slice.service = &service_of(facts.service);
  slice.v4 = facts.v4;
  slice.v6 = facts.v6;
  slice.unreadable = facts.unreadable;
  slice.ports = facts.ports;
  slice.round = slice_round_;
  slice.members.reserve(facts.endpoints.size());
  for (const Endpoint& endpoint : facts.endpoints) {
    slice.members.push_back({endpoint.address, nodes_.enter(endpoint.node),
                             part_of(endpoint, *slice.service), endpoint.terminating});
  }
  return slice;
}

void ServiceTable::keep_within_limits(Slice& slice) {
  if (slice_ports_ + slice.ports.size() > limits_.ports) slice.ports = {};
  if (endpoints_ + slice.members.size() <= limits_.endpoints) return;
  leave_nodes(slice);
  slice.members = {};
  slice.unreadable = true;
}

void ServiceTable::leave_nodes(const Slice& slice) {
  for (const Member& member : slice.members) nodes_.leave(member.node);
}

void ServiceTable::count(const net::IpAddress& endpoint, const Use& use, bool add) {
  if (use.part == Part::kIdle) return;
  Backends& backends = use.backends(endpoint);
  const auto change = [add](std::size_t& number) { add ? ++number : --number; };
  const bool tapped = taps_.contains(endpoint);
  if (use.part == Part::kLeaving && !tapped && ended_.contains(endpoint))
    return change(backends.ended);
  change(backends.all);
  if (tapped) change(backends.tapped);
  if (use.part == Part::kReady) change(backends.ready);
}

/// `change` may change what count() depends on.
template <class Change>
void ServiceTable::recount(const net::IpAddress& endpoint, Change change) {
  const auto users = users_.find(endpoint);
  if (users == users_.end()) return change();
  for (const Use& use : users->second) count(endpoint, use, false);
  change();
  for (const Use& use : users->second) {
    count(endpoint, use, true);
    touch(use.backends(endpoint));
  }
  touched_endpoints_.insert(endpoint);
}

/// Touches what shares an endpoint with the slice.
void ServiceTable::touch_neighbours(const Slice& slice) {
  for (const Member& member : slice.members) {
    for (const Use& use : users_.at(member.address)) {
      if (use.slice != &slice && share_ports(slice, *use.slice))
        touch(use.backends(member.address));
    }
  }
}

void ServiceTable::attach(const Slice& slice) {
  ++slice.service->slices;
  for (Backends& backends : slice.service->families) {
    if (!slice.has(backends)) continue;
    if (slice.unreadable) ++backends.all;
    backends.slices.insert(&slice);
    touch(backends);
  }
  for (const Member& member : slice.members) {
    const Use use{&slice, member.part};
    count(member.address, use, true);
    users_[member.address].push_back(use);
    if (taps_.contains(member.address)) touched_endpoints_.insert(member.address);
  }
  ports_.add(slice.ports);
  endpoints_ += slice.members.size();
  slice_ports_ += slice.ports.size();
}

void ServiceTable::detach(const Slice& slice) {
  --slice.service->slices;
  for (Backends& backends : slice.service->families) {
    if (!slice.has(backends)) continue;
    if (backends.partly) touch_neighbours(slice);  // their component may fall apart
    if (slice.unreadable) --backends.all;
    backends.slices.erase(&slice);
    touch(backends);
  }
  for (const Member& member : slice.members) {
    const Use use{&slice, member.part};
    count(member.address, use, false);
    const auto users = users_.find(member.address);
    // Erases only one: a slice may name an address twice.
    users->second.erase(std::find(users->second.begin(), users->second.end(), use));
    if (users->second.empty()) users_.erase(users);
    if (taps_.contains(member.address)) touched_endpoints_.insert(member.address);
  }
  ports_.remove(slice.ports);
  endpoints_ -= slice.members.size();
  slice_ports_ -= slice.ports.size();
}

/// Forgets endpoints that no longer exist, and those that now belong to another pod: a terminating
/// endpoint never becomes active again.
void ServiceTable::forget_ended(const Slice& before, const Slice* now) {
  for (const Member& member : before.members) {
    if (!ended_.contains(member.address)) continue;
    const auto again = [&](const Member& other) {
      return other.address == member.address && member.terminating && !other.terminating;
    };
    const bool reused =
        now != nullptr && std::any_of(now->members.begin(), now->members.end(), again);
    if (reused || !users_.contains(member.address))
      recount(member.address, [&] { ended_.erase(member.address); });
  }
}

void ServiceTable::set(SliceFacts facts) {
  const auto found = slices_.find(facts.name);
  if (found == slices_.end() && slices_.size() >= limits_.slices) {
    // The Service of a slice that is left out is unknown, so any Service may have more backends
    // than the table shows.
    slice_over_limit_ = true;
    turn(slices_left_out_, true);
    return;
  }
  Slice now = slice_of(facts);
  Slice before;
  if (found != slices_.end()) {
    if (found->second.equals(now)) {
      found->second.round = slice_round_;
      return leave_nodes(now);
    }
    detach(found->second);
    before = std::move(found->second);
  }
  keep_within_limits(now);
  Slice& kept = slices_[facts.name];
  kept = std::move(now);
  attach(kept);
  forget_ended(before, &kept);
  leave_nodes(before);
  if (before.service != nullptr) forget_empty(*before.service);
}

void ServiceTable::remove_slice(const ObjectName& name) {
  const auto found = slices_.find(name);
  if (found == slices_.end()) return;
  detach(found->second);
  const Slice gone = std::move(found->second);
  slices_.erase(found);
  forget_ended(gone, nullptr);
  leave_nodes(gone);
  forget_empty(*gone.service);
}

void ServiceTable::slices_end() {
  std::vector<ObjectName> old;
  for (const auto& [name, slice] : slices_) {
    if (slice.round != slice_round_) old.push_back(name);
  }
  for (const auto& name : old) remove_slice(name);
  listing_slices_ = false;
  turn(slices_left_out_, slice_over_limit_);
}

void ServiceTable::taps_changed(const AddressChange& taps, const AddressChange& older) {
  for (const auto& address : taps.remove) {
    if (taps_.contains(address)) recount(address, [&] { taps_.erase(address); });
  }
  for (const auto& address : taps.add) {
    if (taps_.contains(address)) continue;
    recount(address, [&] {
      taps_.insert(address);
      ended_.erase(address);
    });
  }
  for (const auto& address : older.remove) older_.erase(address);
  older_.insert(older.add.begin(), older.add.end());
  touched_endpoints_.insert(older.remove.begin(), older.remove.end());
  touched_endpoints_.insert(older.add.begin(), older.add.end());
}

void ServiceTable::ended(const std::vector<net::IpAddress>& addresses) {
  for (const auto& address : addresses) {
    if (users_.contains(address)) recount(address, [&] { ended_.insert(address); });
  }
}

}  // namespace sidetap::webhook::registry
