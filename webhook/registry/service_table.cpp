#include "webhook/registry/service_table.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>

namespace sidetap::webhook::registry {
namespace {

/// By this name, NodeLocal DNSCache asks the Service for which the nodes answer otherwise.
constexpr std::string_view kUpstream = "-upstream";

}  // namespace

ServiceTable::ServiceTable(ServiceLimits limits) : limits_(limits) {}

// --- Services

void ServiceTable::services_begin() {
  ++service_round_;
  service_over_limit_ = upstream_over_limit_ = false;
}

bool ServiceTable::is_listed(const ObjectName& name) const {
  const auto service = services_.find(name);
  return service != services_.end() && service->second.listed;
}

Service& ServiceTable::service_of(const ObjectName& name) {
  const auto [place, fresh] = services_.try_emplace(name);
  if (fresh) place->second.facts.name = name;
  return place->second;
}

void ServiceTable::set(ServiceFacts facts) {
  const bool fresh = !is_listed(facts.name);
  if (fresh && listed_ >= limits_.services) {
    // A Service that is left out is not published.
    services_left_out_ = service_over_limit_ = true;
    if (facts.name.ends_with(kUpstream)) {
      upstream_over_limit_ = true;
      turn(upstream_left_out_, true);
    }
    return;
  }
  Service& service = service_of(facts.name);
  service.round = service_round_;
  if (fresh) {
    ++listed_;
    service.listed = true;
    service.answered_by_nodes = is_listed(ObjectName(facts.name).append(kUpstream));
    upstream_changed(facts.name, true);
  } else if (service.facts == facts) {
    return;
  }
  adopt(service, std::move(facts));
}

void ServiceTable::adopt(Service& service, ServiceFacts facts) {
  for (Backends& backends : service.families) {
    std::vector<net::IpAddress> vips;
    std::copy_if(facts.addresses.begin(), facts.addresses.end(), std::back_inserter(vips),
                 [&](const auto& address) { return address.is_v4() != backends.v6; });
    if (vips.empty() && backends.partly) {  // it leaves its component
      for (const Slice* slice : backends.slices) touch_neighbours(*slice);
    }
    backends.vips = std::move(vips);
    touch(backends);
  }
  service.facts = std::move(facts);
}

/// The Service of this name may be the upstream of another one.
void ServiceTable::upstream_changed(const ObjectName& upstream, bool listed) {
  if (!upstream.ends_with(kUpstream)) return;
  const auto found = services_.find(upstream.substr(0, upstream.size() - kUpstream.size()));
  if (found == services_.end()) return;
  found->second.answered_by_nodes = listed;
  for (Backends& backends : found->second.families) touch(backends);
}

void ServiceTable::remove_service(const ObjectName& name) {
  const auto found = services_.find(name);
  if (found == services_.end() || !std::exchange(found->second.listed, false)) return;
  --listed_;
  upstream_changed(name, false);
  ServiceFacts nothing;
  nothing.name = name;
  adopt(found->second, std::move(nothing));
  forget_empty(found->second);
}

void ServiceTable::services_end() {
  std::vector<ObjectName> old;
  for (const auto& [name, service] : services_) {
    if (service.listed && service.round != service_round_) old.push_back(name);
  }
  for (const auto& name : old) remove_service(name);
  services_left_out_ = service_over_limit_;
  turn(upstream_left_out_, upstream_over_limit_);
}

void ServiceTable::forget_empty(Service& service) {
  if (service.listed || service.slices > 0) return;
  for (Backends& backends : service.families) {
    front_ends_.withdraw(backends);
    touched_.erase(&backends);
    local_.erase(&backends);
  }
  services_.erase(ObjectName(service.facts.name));
}

// --- Nodes

void ServiceTable::touch_local() { touched_.insert(local_.begin(), local_.end()); }

void ServiceTable::set_node(NodeFacts facts) {
  if (nodes_.set(std::move(facts))) touch_local();
}

void ServiceTable::remove_node(const std::string& name) {
  if (nodes_.remove(name)) touch_local();
}

void ServiceTable::nodes_end() {
  if (nodes_.end()) touch_local();
}

void ServiceTable::set_nodes_current(bool current) {
  if (nodes_current_ == current) return;
  turn(nodes_current_, current);
  touch_local();
}

// --- Changes

void ServiceTable::set_current(bool current) { turn(current_, current); }

bool ServiceTable::changed() const {
  return turned_ || !touched_.empty() || !touched_endpoints_.empty() || front_ends_.touched() ||
         ports_.list().changed() || nodes_.list().changed();
}

bool ServiceTable::flush(sidetap::registry::Change& into, std::size_t room) {
  claim_front_ends();
  find_partly_tapped();
  for (const auto& endpoint : touched_endpoints_) find_client_owned(endpoint);
  touched_.clear();
  touched_endpoints_.clear();
  turned_ = false;
  front_ends_.settle();
  share(room);
  bool changed = false;
  const auto publish = [&changed](auto& list, auto& add, auto& remove) {
    list.flush(add, remove);
    changed |= !add.empty() || !remove.empty();
  };
  publish(front_ends_.cluster_ips(), into.add.services, into.remove.services);
  publish(nodes_.list(), into.add.nodes, into.remove.nodes);
  publish(client_owned_, into.add.client_owned, into.remove.client_owned);
  publish(ports_.list(), into.add.server_ports, into.remove.server_ports);
  publish(front_ends_.others(), into.add.front_ends, into.remove.front_ends);
  return changed;
}

void ServiceTable::claim(Backends& backends) {
  if (backends.are_linked() && backends.service->facts.local) {
    local_.insert(&backends);
  } else {
    local_.erase(&backends);
  }
  front_ends_.claim(backends, nodes_current_);
}

void ServiceTable::claim_front_ends() {
  const bool were_too_many = front_ends_.are_too_many();
  for (Backends* backends : touched_) claim(*backends);
  const bool all = front_ends_.are_too_many() ? !were_too_many : front_ends_.withheld();
  if (!all) return;
  front_ends_.renew();
  for (auto& [name, service] : services_) {
    for (Backends& backends : service.families) claim(backends);
  }
}

void ServiceTable::find_partly_tapped() {
  for (Backends* backends : components_.update(touched_)) {
    touch(*backends);
    for (const Slice* slice : backends->slices) {
      for (const Member& member : slice->members)
        if (taps_.contains(member.address)) touched_endpoints_.insert(member.address);
    }
  }
  for (Backends* backends : touched_) {
    const bool qualifies = backends->are_tapped() && !backends->partly;
    if (std::exchange(backends->qualifies, qualifies) != qualifies) front_ends_.turned(*backends);
  }
}

/// An endpoint that is not ready counts as well, so that it is published before it gets packets.
void ServiceTable::find_client_owned(const net::IpAddress& endpoint) {
  std::set<net::TransportAddress> owned;
  const auto users = users_.find(endpoint);
  if (users != users_.end() && taps_.contains(endpoint) && !older_.contains(endpoint)) {
    for (const Use& use : users->second) {
      if (!use.backends(endpoint).partly) continue;
      for (const TransportPort& port : use.slice->ports)
        owned.insert({endpoint, port.protocol, port.port});
    }
  }
  client_owned_.assign({endpoint, 0, 0}, {endpoint, 0xff, 0xffff}, owned);
}

void ServiceTable::share(std::size_t room) {
  std::size_t used = 0;
  const auto show = [&](auto& list, bool known) {
    used += known ? list.listed() : 0;
    list.show(known && used <= room);
  };
  show(nodes_.list(), current_ && nodes_current_);
  show(ports_.list(), current_);
  show(front_ends_.cluster_ips(), is_known());
  show(client_owned_, is_known());
  show(front_ends_.others(), is_known());
}

// --- Numbers

ServiceTable::LeftOut ServiceTable::left_out() const {
  if (!current_) return {};
  LeftOut numbers;
  numbers.services = front_ends_.cluster_ips().left_out();
  if (nodes_current_) numbers.nodes = nodes_.list().left_out() + nodes_.left_out();
  numbers.client_owned = client_owned_.left_out();
  numbers.server_ports = ports_.list().left_out();
  numbers.front_ends = front_ends_.others().left_out();
  if (front_ends_.are_too_many()) numbers.front_ends += front_ends_.wanted();
  return numbers;
}

ServiceTable::Counts ServiceTable::counts() const {
  Counts counts;
  for (const auto& [name, service] : services_) {
    for (const Backends& backends : service.families) {
      auto& count = backends.counted() == 0 ? counts.none
                    : backends.are_tapped() ? counts.tapped
                    : backends.tapped == 0  ? counts.untapped
                                            : counts.mixed;
      count += backends.vips.size();
    }
  }
  return counts;
}

void ServiceTable::each(const std::function<void(const Listed&)>& visit) const {
  for (const auto& [name, service] : services_) {
    for (const Backends& backends : service.families) {
      if (backends.vips.empty()) continue;
      visit({name, backends.v6, backends.counted(), backends.tapped});
    }
  }
}

}  // namespace sidetap::webhook::registry
