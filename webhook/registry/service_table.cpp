#include "webhook/registry/service_table.h"

#include <algorithm>
#include <utility>

namespace sidetap::webhook::registry {
namespace {

using nlohmann::json;

const json& member_of(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::string text_of(const json& object, const char* key) {
  const json& value = member_of(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<net::IpAddress> address_of(const json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto address = net::IpAddress::parse(value.get_ref<const std::string&>());
  if (!address) return std::nullopt;
  return *address;
}

/// Empty: it has none.
ObjectName name_of(const json& metadata, const std::string& name) {
  const std::string space = text_of(metadata, "namespace");
  return space.empty() || name.empty() ? ObjectName() : space + "/" + name;
}

}  // namespace

std::optional<ServiceFacts> read_service(const json& object) {
  const json& metadata = member_of(object, "metadata");
  ServiceFacts facts{name_of(metadata, text_of(metadata, "name")), {}};
  if (facts.name.empty()) return std::nullopt;
  const json& spec = member_of(object, "spec");
  // "None" (headless) and "" (ExternalName) are no addresses.
  const json& several = member_of(spec, "clusterIPs");
  if (several.is_array() && !several.empty()) {
    for (const json& item : several) {
      const auto address = address_of(item);
      auto& all = facts.addresses;
      if (address && std::find(all.begin(), all.end(), *address) == all.end())
        all.push_back(*address);
    }
  } else if (const auto address = address_of(member_of(spec, "clusterIP"))) {
    facts.addresses.push_back(*address);
  }
  return facts;
}

std::optional<SliceFacts> read_slice(const json& object) {
  const json& metadata = member_of(object, "metadata");
  SliceFacts facts;
  facts.name = name_of(metadata, text_of(metadata, "name"));
  facts.service =
      name_of(metadata, text_of(member_of(metadata, "labels"), "kubernetes.io/service-name"));
  if (facts.name.empty() || facts.service.empty()) return std::nullopt;
  const std::string type = text_of(object, "addressType");
  facts.v4 = type != "IPv6";
  facts.v6 = type != "IPv4";
  for (const json& endpoint : member_of(object, "endpoints")) {
    const json& addresses = member_of(endpoint, "addresses");
    facts.unreadable |= !addresses.is_array() || addresses.empty();
    for (const json& item : addresses) {
      const auto address = address_of(item);
      // Host names, and what is of another family than the slice says.
      if (address && (address->is_v4() ? facts.v4 && !facts.v6 : facts.v6 && !facts.v4)) {
        facts.endpoints.push_back(*address);
      } else {
        facts.unreadable = true;
      }
    }
  }
  return facts;
}

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
    // A Service that is not known is not published.
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
}

void ServiceTable::attach(const SliceFacts& slice) {
  Service& service = services_[slice.service];
  ++service.slices;
  for (const bool v6 : {false, true}) {
    if (!(v6 ? slice.v6 : slice.v4)) continue;
    Backends& backends = service.families[v6];
    if (slice.unreadable) ++backends.all;
    for (const auto& endpoint : slice.endpoints) {
      ++backends.all;
      if (taps_.contains(endpoint)) ++backends.tapped;
      users_[endpoint].push_back(&backends);
    }
    touch(backends);
  }
  endpoints_ += slice.endpoints.size();
}

void ServiceTable::detach(const SliceFacts& slice) {
  Service& service = services_.at(slice.service);
  --service.slices;
  for (const bool v6 : {false, true}) {
    if (!(v6 ? slice.v6 : slice.v4)) continue;
    Backends& backends = service.families[v6];
    if (slice.unreadable) --backends.all;
    for (const auto& endpoint : slice.endpoints) {
      --backends.all;
      if (taps_.contains(endpoint)) --backends.tapped;
      const auto users = users_.find(endpoint);
      // One of them: the same address may be in two slices while it moves.
      users->second.erase(std::find(users->second.begin(), users->second.end(), &backends));
      if (users->second.empty()) users_.erase(users);
    }
    touch(backends);
  }
  endpoints_ -= slice.endpoints.size();
}

void ServiceTable::set(SliceFacts facts) {
  const auto found = slices_.find(facts.name);
  if (found != slices_.end()) {
    const SliceFacts before = std::move(found->second.facts);
    detach(before);
    if (before.service != facts.service) forget_empty(before.service);
  } else if (slices_.size() >= limits_.slices) {
    // Whose backends it has is not kept: any Service may have more than it seems.
    slice_over_limit_ = true;
    leave_slices_out(true);
    return;
  }
  if (endpoints_ + facts.endpoints.size() > limits_.endpoints) {
    facts.endpoints.clear();
    facts.unreadable = true;
  }
  attach(facts);
  slices_[facts.name] = {facts, slice_round_};
}

void ServiceTable::remove_slice(const ObjectName& name) {
  const auto found = slices_.find(name);
  if (found == slices_.end()) return;
  const SliceFacts facts = std::move(found->second.facts);
  slices_.erase(found);
  detach(facts);
  forget_empty(facts.service);
}

void ServiceTable::slices_end() {
  std::vector<ObjectName> old;
  for (const auto& [name, slice] : slices_) {
    if (slice.round != slice_round_) old.push_back(name);
  }
  for (const auto& name : old) remove_slice(name);
  leave_slices_out(slice_over_limit_);
}

void ServiceTable::leave_slices_out(bool left_out) {
  if (std::exchange(slices_left_out_, left_out) != left_out) touch_all();
}

// --- What follows

void ServiceTable::taps_changed(const AddressChange& taps) {
  const auto count = [this](const net::IpAddress& address, bool add) {
    const auto users = users_.find(address);
    if (users == users_.end()) return;
    for (Backends* backends : users->second) {
      add ? ++backends->tapped : --backends->tapped;
      touch(*backends);
    }
  };
  for (const auto& address : taps.remove) {
    if (taps_.erase(address) > 0) count(address, false);
  }
  for (const auto& address : taps.add) {
    if (taps_.insert(address).second) count(address, true);
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
      auto& count = backends.all == 0      ? counts.none
                    : is_tapped(backends)  ? counts.tapped
                    : backends.tapped == 0 ? counts.untapped
                                           : counts.mixed;
      count += backends.vips.size();
    }
  }
  return counts;
}

}  // namespace sidetap::webhook::registry
