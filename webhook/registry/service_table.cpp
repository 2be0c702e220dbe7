#include "webhook/registry/service_table.h"

#include <algorithm>
#include <utility>

namespace sidetap::webhook::registry {

bool ServiceTable::member(const net::IpAddress& vip) const {
  if (!current_ || slices_left_out_) return false;
  const auto owners = owners_.find(vip);
  return owners != owners_.end() &&
         std::all_of(owners->second.begin(), owners->second.end(),
                     [this](const Backends* backends) { return is_tapped(*backends); });
}

void ServiceTable::touch(const Backends& backends) {
  touched_.insert(backends.vips.begin(), backends.vips.end());
}

// --- Services

void ServiceTable::services_begin() {
  ++service_round_;
  service_over_limit_ = false;
}

void ServiceTable::set_vips(Service& service, const std::vector<net::IpAddress>& addresses) {
  for (const bool v6 : {false, true}) {
    Backends& backends = service.families[v6];
    touch(backends);
    for (const auto& vip : backends.vips) {
      const auto owners = owners_.find(vip);
      std::erase(owners->second, &backends);
      if (owners->second.empty()) owners_.erase(owners);
    }
    backends.vips.clear();
    for (const auto& vip : addresses) {
      if (vip.is_v4() == v6) continue;
      backends.vips.push_back(vip);
      owners_[vip].push_back(&backends);
    }
    touch(backends);
  }
}

void ServiceTable::set(ServiceFacts facts) {
  const auto known = services_.find(facts.name);
  const bool fresh = known == services_.end() || !known->second.listed;
  if (fresh && listed_ >= limits_.services) {
    // A Service that is left out is not published.
    services_left_out_ = service_over_limit_ = true;
    return;
  }
  Service& service = services_[facts.name];
  service.round = service_round_;
  service.listed = true;
  if (fresh) ++listed_;
  set_vips(service, facts.addresses);
}

void ServiceTable::remove_service(const ObjectName& name) {
  const auto found = services_.find(name);
  if (found == services_.end() || !std::exchange(found->second.listed, false)) return;
  --listed_;
  set_vips(found->second, {});
  forget_empty(name);
}

void ServiceTable::services_end() {
  std::vector<ObjectName> old;
  for (const auto& [name, service] : services_) {
    if (service.listed && service.round != service_round_) old.push_back(name);
  }
  for (const auto& name : old) remove_service(name);
  services_left_out_ = service_over_limit_;
}

void ServiceTable::forget_empty(const ObjectName& name) {
  const auto found = services_.find(name);
  if (!found->second.listed && found->second.slices == 0) services_.erase(found);
}

// --- EndpointSlices

void ServiceTable::slices_begin() {
  ++slice_round_;
  slice_over_limit_ = false;
  listing_slices_ = true;
}

/// Depends on what is known of the endpoint so far: call it before the slice replaces the previous
/// one.
ServiceTable::Part ServiceTable::part_of(const Endpoint& endpoint, const SliceFacts& slice) const {
  if (endpoint.ready) return Part::kReady;
  bool known = false;
  bool was_ready = false;
  const auto service = services_.find(slice.service);
  const auto users = users_.find(endpoint.address);
  if (service != services_.end() && users != users_.end()) {
    const Backends* const mine = &service->second.families[!endpoint.address.is_v4()];
    for (const Use& use : users->second) {
      if (use.backends != mine) continue;
      known = true;
      was_ready |= use.part != Part::kIdle;
    }
  }
  // An endpoint in a list may have been ready since the previous list.
  const bool may_have_been = was_ready || listing_slices_ || (!known && endpoint.terminating);
  if (!may_have_been) return Part::kIdle;
  return endpoint.terminating ? Part::kLeaving : Part::kUnready;
}

void ServiceTable::count(const net::IpAddress& endpoint, const Use& use, bool add) {
  if (use.part == Part::kIdle) return;
  Backends& backends = *use.backends;
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
    touch(*use.backends);
  }
}

void ServiceTable::attach(const Slice& slice) {
  const SliceFacts& facts = slice.facts;
  Service& service = services_[facts.service];
  ++service.slices;
  for (const bool v6 : {false, true}) {
    if (!(v6 ? facts.v6 : facts.v4)) continue;
    Backends& backends = service.families[v6];
    if (facts.unreadable) ++backends.all;
    for (std::size_t i = 0; i < facts.endpoints.size(); ++i) {
      const Use use{&backends, slice.parts[i]};
      count(facts.endpoints[i].address, use, true);
      users_[facts.endpoints[i].address].push_back(use);
    }
    touch(backends);
  }
  endpoints_ += facts.endpoints.size();
}

void ServiceTable::detach(const Slice& slice) {
  const SliceFacts& facts = slice.facts;
  Service& service = services_.at(facts.service);
  --service.slices;
  for (const bool v6 : {false, true}) {
    if (!(v6 ? facts.v6 : facts.v4)) continue;
    Backends& backends = service.families[v6];
    if (facts.unreadable) --backends.all;
    for (std::size_t i = 0; i < facts.endpoints.size(); ++i) {
      const Use use{&backends, slice.parts[i]};
      count(facts.endpoints[i].address, use, false);
      const auto users = users_.find(facts.endpoints[i].address);
      // Erases only one: the same address may be in two slices while it moves.
      users->second.erase(std::find(users->second.begin(), users->second.end(), use));
      if (users->second.empty()) users_.erase(users);
    }
    touch(backends);
  }
  endpoints_ -= facts.endpoints.size();
}

/// Forgets endpoints that no longer exist, and those that now belong to another pod: a terminating
/// endpoint never becomes active again.
void ServiceTable::forget_ended(const Slice& before, const Slice* now) {
  for (const Endpoint& endpoint : before.facts.endpoints) {
    if (!ended_.contains(endpoint.address)) continue;
    const auto again = [&](const Endpoint& other) {
      return other.address == endpoint.address && endpoint.terminating && !other.terminating;
    };
    const bool reused = now != nullptr && std::any_of(now->facts.endpoints.begin(),
                                                      now->facts.endpoints.end(), again);
    if (reused || !users_.contains(endpoint.address))
      recount(endpoint.address, [&] { ended_.erase(endpoint.address); });
  }
}

void ServiceTable::set(SliceFacts facts) {
  const auto found = slices_.find(facts.name);
  if (found == slices_.end() && slices_.size() >= limits_.slices) {
    // The Service of a slice that is left out is unknown, so any Service may have more backends
    // than the table shows.
    slice_over_limit_ = true;
    leave_slices_out(true);
    return;
  }
  Slice now{std::move(facts), {}, slice_round_};
  for (const Endpoint& endpoint : now.facts.endpoints)
    now.parts.push_back(part_of(endpoint, now.facts));
  Slice before;
  if (found != slices_.end()) {
    before = std::move(found->second);
    detach(before);
    if (before.facts.service != now.facts.service) forget_empty(before.facts.service);
  }
  if (endpoints_ + now.facts.endpoints.size() > limits_.endpoints) {
    now.facts.endpoints.clear();
    now.parts.clear();
    now.facts.unreadable = true;
  }
  attach(now);
  forget_ended(before, &now);
  std::string name = now.facts.name;
  slices_[std::move(name)] = std::move(now);
}

void ServiceTable::remove_slice(const ObjectName& name) {
  const auto found = slices_.find(name);
  if (found == slices_.end()) return;
  const Slice gone = std::move(found->second);
  slices_.erase(found);
  detach(gone);
  forget_ended(gone, nullptr);
  forget_empty(gone.facts.service);
}

void ServiceTable::slices_end() {
  std::vector<ObjectName> old;
  for (const auto& [name, slice] : slices_) {
    if (slice.round != slice_round_) old.push_back(name);
  }
  for (const auto& name : old) remove_slice(name);
  listing_slices_ = false;
  leave_slices_out(slice_over_limit_);
}

void ServiceTable::leave_slices_out(bool left_out) {
  if (std::exchange(slices_left_out_, left_out) != left_out) touch_all();
}

// --- Changes

void ServiceTable::taps_changed(const AddressChange& taps) {
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
}

void ServiceTable::ended(const std::vector<net::IpAddress>& addresses) {
  for (const auto& address : addresses) {
    if (users_.contains(address)) recount(address, [&] { ended_.insert(address); });
  }
}

void ServiceTable::set_current(bool current) {
  if (std::exchange(current_, current) != current) touch_all();
}

void ServiceTable::touch_all() {
  for (const auto& [vip, owners] : owners_) touched_.insert(vip);
  touched_.insert(published_.begin(), published_.end());
}

std::optional<AddressChange> ServiceTable::flush() {
  AddressChange change;
  for (const auto& vip : touched_) {
    const bool now = member(vip);
    if (now == published_.contains(vip)) continue;
    (now ? change.add : change.remove).push_back(vip);
  }
  touched_.clear();
  if (change.add.empty() && change.remove.empty()) return std::nullopt;
  published_.insert(change.add.begin(), change.add.end());
  for (const auto& vip : change.remove) published_.erase(vip);
  return change;
}

ServiceTable::Counts ServiceTable::counts() const {
  Counts counts;
  for (const auto& [name, service] : services_) {
    for (const Backends& backends : service.families) {
      auto& count = backends.counted() == 0 ? counts.none
                    : is_tapped(backends)   ? counts.tapped
                    : backends.tapped == 0  ? counts.untapped
                                            : counts.mixed;
      count += backends.vips.size();
    }
  }
  return counts;
}

}  // namespace sidetap::webhook::registry
