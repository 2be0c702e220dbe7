// The table of Services against a plain model, over random histories.
#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/webhook_registry/service_table_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using sidetap::registry::Lists;

/// The nth address of a kind in either family.
net::IpAddress in_family(const net::IpAddress& v4, bool v6) {
  return v6 ? net::IpAddress::v6(0xfdULL << 56, v4.low()) : v4;
}

/// Tells a table what happens, and keeps what the table has to make of it.
class ServiceModel {
 public:
  explicit ServiceModel(ServiceTable& table) : table_(table) {}

  /// Something happens.
  void step() {
    const std::string service =
        below(6) == 0 ? "ns/s0-upstream" : "ns/s" + std::to_string(below(5));
    switch (below(12)) {
      case 0:
      case 1:
        return set_service(service);
      case 2:
        services_.erase(service);
        return table_.remove_service(service);
      case 3:
      case 4:
        return set_slice("ns/e" + std::to_string(below(8)), service);
      case 5:
        return remove_slice("ns/e" + std::to_string(below(8)));
      case 6:
      case 7:
      case 8:
        return turn_tap();
      case 9: {
        const auto address = any_pod();
        if (in_a_slice(address)) ended_.insert(address);
        return table_.ended({address});
      }
      case 10:
        return turn_node();
      default:
        current_ = below(6) != 0;
        nodes_current_ = below(3) != 0;
        table_.set_current(current_);
        table_.set_nodes_current(nodes_current_);
    }
  }

  /// What is to be published.
  Lists due() const {
    Lists due;
    if (!current_) return due;
    std::vector<Unit> units = units_of_services();
    spread(units);
    std::map<net::IpAddress, bool> cluster_ips;
    std::map<net::TransportAddress, bool> front_ends;
    TransportSet owned;
    for (const Unit& unit : units) {
      const bool qualifies = unit.all > 0 && unit.tapped == unit.all && !unit.partly;
      for (const auto& address : vips_of(unit)) claim(cluster_ips, address, qualifies);
      for (const auto& each : front_ends_of(unit)) claim(front_ends, each, qualifies);
      if (unit.partly) add_owned(unit, owned);
    }
    due.services = claimed(cluster_ips);
    due.front_ends = claimed(front_ends);
    due.client_owned.assign(owned.begin(), owned.end());
    TransportSet ports;
    for (const auto& [name, known] : slices_) {
      for (const TransportPort& port : known.facts.ports)
        ports.insert(at(net::IpAddress::v4(0), port));
    }
    due.server_ports.assign(ports.begin(), ports.end());
    if (nodes_current_) {
      std::set<net::IpAddress> nodes;
      for (const auto& [name, addresses] : nodes_) nodes.insert(addresses.begin(), addresses.end());
      due.nodes.assign(nodes.begin(), nodes.end());
    }
    return due;
  }

 private:
  struct Known {
    SliceFacts facts{};
    std::vector<bool> was_ready{};  ///< By endpoint: it counts until its pod has ended.
  };
  /// A Service in one family.
  struct Unit {
    ServiceFacts facts{};
    bool v6 = false;
    std::vector<const Known*> slices{};
    std::size_t all = 0, tapped = 0;
    bool partly = false;
  };

  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  net::IpAddress any_pod() { return in_family(pod(below(8)), below(4) == 0); }

  // --- What happens

  void set_service(const std::string& service) {
    ServiceFacts facts{service};
    for (unsigned n = below(3); n-- > 0;)
      facts.addresses.push_back(in_family(vip(below(8)), below(3) == 0));
    std::sort(facts.addresses.begin(), facts.addresses.end());
    facts.addresses.erase(std::unique(facts.addresses.begin(), facts.addresses.end()),
                          facts.addresses.end());
    for (unsigned n = below(3); n-- > 0;) {
      const auto number = static_cast<std::uint16_t>(below(3));
      facts.ports.push_back({tcp(static_cast<std::uint16_t>(80 + number)),
                             static_cast<std::uint16_t>(below(2) * (30080U + number))});
    }
    for (unsigned n = below(3); n-- > 0;)
      facts.external.push_back(in_family(vip(100 + below(3)), below(3) == 0));
    facts.local = below(2) == 0;
    services_[service] = facts;
    table_.set(facts);
  }

  void set_slice(const std::string& name, const std::string& service) {
    Known known;
    known.facts = slice(name, service, Endpoints());
    known.facts.v6 = below(4) == 0;
    known.facts.v4 = !known.facts.v6;
    known.facts.unreadable = below(8) == 0;
    for (std::uint16_t port = 8080; port < 8083; ++port)
      if (below(2) == 0) known.facts.ports.push_back(tcp(port));
    for (unsigned n = below(4); n-- > 0;) {
      const Endpoint endpoint{in_family(pod(below(8)), known.facts.v6), below(3) != 0,
                              below(3) == 0, below(4) == 0 ? "" : node_name()};
      known.facts.endpoints.push_back(endpoint);
      known.was_ready.push_back(was_ready(service, endpoint));
    }
    for (const Endpoint& old : slices_[name].facts.endpoints) {
      for (const Endpoint& now : known.facts.endpoints) {
        if (old.address == now.address && old.terminating && !now.terminating)
          ended_.erase(old.address);
      }
    }
    table_.set(known.facts);
    slices_[name] = known;
    forget_those_gone();
  }

  void remove_slice(const std::string& name) {
    slices_.erase(name);
    table_.remove_slice(name);
    forget_those_gone();
  }

  /// As far as the slices have told until now.
  bool was_ready(const std::string& service, const Endpoint& endpoint) const {
    bool seen = false;
    bool ready = endpoint.ready;
    for (const auto& [name, known] : slices_) {
      if (known.facts.service != service) continue;
      for (std::size_t i = 0; i < known.was_ready.size(); ++i) {
        if (known.facts.endpoints[i].address != endpoint.address) continue;
        seen = true;
        ready = ready || known.was_ready[i];
      }
    }
    return ready || (!seen && endpoint.terminating);
  }

  void turn_tap() {
    const auto address = any_pod();
    const bool was_older = older_.erase(address) > 0;
    const Addresses no_longer_older = was_older ? Addresses{address} : Addresses();
    if (taps_.erase(address) > 0)
      return table_.taps_changed({{}, {address}}, {{}, no_longer_older});
    taps_.insert(address);
    ended_.erase(address);
    const bool is_older = below(4) == 0;
    if (is_older) older_.insert(address);
    table_.taps_changed({{address}, {}}, {is_older ? Addresses{address} : Addresses(), {}});
  }

  std::string node_name() { return "n" + std::to_string(below(3)); }
  void turn_node() {
    const std::string name = node_name();
    if (nodes_.erase(name) > 0) return table_.remove_node(name);
    Addresses addresses;
    for (unsigned n = below(3); n-- > 0;)
      addresses.push_back(in_family(node(2 * below(2) + n), below(3) == 0));
    nodes_[name] = addresses;
    table_.set_node({name, addresses});
  }

  bool in_a_slice(const net::IpAddress& address) const {
    return std::any_of(slices_.begin(), slices_.end(), [&](const auto& entry) {
      const auto& all = entry.second.facts.endpoints;
      return std::any_of(all.begin(), all.end(),
                         [&](const auto& e) { return e.address == address; });
    });
  }
  void forget_those_gone() {
    std::erase_if(ended_, [&](const auto& address) { return !in_a_slice(address); });
  }

  // --- What follows

  std::vector<Unit> units_of_services() const {
    std::vector<Unit> units;
    for (const auto& [name, facts] : services_) {
      for (const bool v6 : {false, true}) {
        Unit unit;
        unit.facts = facts;
        unit.v6 = v6;
        for (const auto& [slice_name, known] : slices_) {
          if (known.facts.service == name && known.facts.v6 == v6) unit.slices.push_back(&known);
        }
        count(unit);
        unit.partly =
            (unit.tapped > 0 && unit.tapped < unit.all) || services_.contains(name + "-upstream");
        if (!vips_of(unit).empty()) units.push_back(unit);
      }
    }
    return units;
  }

  void count(Unit& unit) const {
    bool any_ready = false;
    for (const Known* known : unit.slices) {
      for (const Endpoint& endpoint : known->facts.endpoints) any_ready |= endpoint.ready;
      unit.all += known->facts.unreadable ? 1 : 0;
    }
    for (const Known* known : unit.slices) {
      for (std::size_t i = 0; i < known->was_ready.size(); ++i) {
        const Endpoint& endpoint = known->facts.endpoints[i];
        const bool tapped = taps_.contains(endpoint.address);
        const bool over = !endpoint.ready && endpoint.terminating && !tapped &&
                          ended_.contains(endpoint.address) && any_ready;
        if (!known->was_ready[i] || over) continue;
        ++unit.all;
        unit.tapped += tapped ? 1 : 0;
      }
    }
  }

  /// Until nothing changes: who shares an endpoint with a partly tapped one is partly tapped too.
  static void spread(std::vector<Unit>& units) {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Unit& unit : units) {
        for (Unit& other : units) {
          if (!unit.partly || other.partly || !share_endpoint(unit, other)) continue;
          other.partly = changed = true;
        }
      }
    }
  }

  static bool share_endpoint(const Unit& a, const Unit& b) {
    for (const Known* mine : a.slices) {
      for (const Known* its : b.slices) {
        const auto& ports = its->facts.ports;
        const bool same_port =
            mine->facts.ports.empty() || ports.empty() ||
            std::any_of(ports.begin(), ports.end(), [&](const TransportPort& port) {
              return std::count(mine->facts.ports.begin(), mine->facts.ports.end(), port) > 0;
            });
        for (const Endpoint& one : mine->facts.endpoints) {
          for (const Endpoint& other : its->facts.endpoints)
            if (same_port && one.address == other.address) return true;
        }
      }
    }
    return false;
  }

  static Addresses vips_of(const Unit& unit) {
    Addresses vips;
    for (const auto& address : unit.facts.addresses)
      if (address.is_v4() != unit.v6) vips.push_back(address);
    return vips;
  }

  TransportSet front_ends_of(const Unit& unit) const {
    Addresses of_nodes{unit.v6 ? net::IpAddress() : net::IpAddress::v4(0)};
    if (unit.facts.local) of_nodes = local_nodes(unit);
    TransportSet all;
    for (const ServicePort& port : unit.facts.ports) {
      for (const auto& address : unit.facts.external)
        if (address.is_v4() != unit.v6) all.insert(at(address, port.port));
      for (const auto& address : of_nodes)
        if (port.node_port != 0) all.insert({address, port.port.protocol, port.node_port});
    }
    return all;
  }

  Addresses local_nodes(const Unit& unit) const {
    Addresses addresses;
    for (const Known* known : unit.slices) {
      for (const Endpoint& endpoint : known->facts.endpoints) {
        const auto found = nodes_.find(endpoint.node);
        if (!endpoint.ready || found == nodes_.end() || !nodes_current_) continue;
        for (const auto& address : found->second)
          if (address.is_v4() != unit.v6) addresses.push_back(address);
      }
    }
    return addresses;
  }

  void add_owned(const Unit& unit, TransportSet& owned) const {
    for (const Known* known : unit.slices) {
      for (const Endpoint& endpoint : known->facts.endpoints) {
        if (!taps_.contains(endpoint.address) || older_.contains(endpoint.address)) continue;
        for (const TransportPort& port : known->facts.ports)
          owned.insert(at(endpoint.address, port));
      }
    }
  }

  template <typename T>
  static void claim(std::map<T, bool>& claims, const T& item, bool qualifies) {
    const auto place = claims.try_emplace(item, true).first;
    place->second = place->second && qualifies;
  }
  template <typename T>
  static std::vector<T> claimed(const std::map<T, bool>& claims) {
    std::vector<T> items;
    for (const auto& [item, all] : claims)
      if (all) items.push_back(item);
    return items;
  }

  ServiceTable& table_;
  std::mt19937 random_{3};
  std::map<std::string, ServiceFacts> services_;
  std::map<std::string, Known> slices_;
  std::map<std::string, Addresses> nodes_;
  std::set<net::IpAddress> taps_, older_;
  std::set<net::IpAddress> ended_;  ///< Of those in slices: their pods have ended but for the tap.
  bool current_ = true, nodes_current_ = true;
};

TEST_F(ServiceTableTest, PublishesWhatASimpleModelSays) {
  ServiceModel model(table_);
  Listener listener;
  for (int step = 0; step < 30'000; ++step) {
    model.step();
    if (step % 3 == 1) continue;  // several things may happen between two versions
    sidetap::registry::Change change;
    const bool due = table_.changed();
    const bool published = table_.flush(change);
    ASSERT_TRUE(due || !published) << step;
    listener.hear(change);
    const Lists wanted = model.due();
    const Lists known = listener.knows();
    ASSERT_EQ(known.services, wanted.services) << step;
    ASSERT_EQ(known.nodes, wanted.nodes) << step;
    ASSERT_EQ(known.client_owned, wanted.client_owned) << step;
    ASSERT_EQ(known.server_ports, wanted.server_ports) << step;
    ASSERT_EQ(known.front_ends, wanted.front_ends) << step;
    ASSERT_FALSE(HasFailure()) << step;
  }
}

}  // namespace
}  // namespace sidetap::webhook::registry
