// The table of Services against a plain model, over random histories.
#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/webhook_registry/service_table_fixture.h"

namespace sidetap::webhook::registry {
namespace {

/// Tells a table what happens, and keeps what the table has to make of it.
class ServiceModel {
 public:
  explicit ServiceModel(ServiceTable& table) : table_(table) {}

  /// Something happens.
  void step() {
    const std::string service = "ns/s" + std::to_string(below(6));
    const std::string name = "ns/e" + std::to_string(below(8));
    switch (below(9)) {
      case 0:
        set_service(service);
        break;
      case 1:
        services_.erase(service);
        table_.remove_service(service);
        break;
      case 2:
      case 3:
        set_slice(name, service);
        break;
      case 4:
        slices_.erase(name);
        table_.remove_slice(name);
        forget_those_gone();
        break;
      case 5:
      case 6:
        turn_tap();
        break;
      case 7: {
        const auto address = pod(below(10));
        if (in_a_slice(address)) ended_.insert(address);
        table_.ended({address});
        break;
      }
      default:
        current_ = below(4) != 0;
        table_.set_current(current_);
    }
  }

  /// What is to be published.
  std::set<net::IpAddress> due() const {
    std::map<net::IpAddress, bool> expected;
    for (const auto& [service, addresses] : services_) {
      const bool tapped = has_tapped_backends_only(service);
      for (const auto& address : addresses) {
        const auto [place, fresh] = expected.try_emplace(address, true);
        place->second = place->second && tapped;
      }
    }
    std::set<net::IpAddress> due;
    for (const auto& [address, tapped] : expected) {
      if (current_ && tapped) due.insert(address);
    }
    return due;
  }

 private:
  struct Known {
    SliceFacts facts;
    std::vector<bool> was_ready;  ///< By endpoint: it counts until its pod has ended.
  };

  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

  void set_service(const std::string& service) {
    Addresses addresses;
    for (unsigned n = below(3); n-- > 0;) addresses.push_back(vip(below(8)));
    std::sort(addresses.begin(), addresses.end());
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    services_[service] = addresses;
    table_.set({service, addresses});
  }

  void set_slice(const std::string& name, const std::string& service) {
    Known known;
    known.facts = slice(name, service, Endpoints());
    known.facts.unreadable = below(8) == 0;
    for (unsigned n = below(4); n-- > 0;) {
      const Endpoint endpoint{pod(below(10)), below(3) != 0, below(3) == 0};
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
    const auto address = pod(below(10));
    if (taps_.erase(address) > 0) {
      table_.taps_changed({{}, {address}});
    } else {
      taps_.insert(address);
      ended_.erase(address);
      table_.taps_changed({{address}, {}});
    }
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

  /// And there is one.
  bool has_tapped_backends_only(const std::string& service) const {
    std::size_t all = 0;
    bool every = true;
    bool any_ready = false;
    for (const auto& [name, known] : slices_) {
      if (known.facts.service != service) continue;
      for (const Endpoint& endpoint : known.facts.endpoints) any_ready |= endpoint.ready;
    }
    for (const auto& [name, known] : slices_) {
      if (known.facts.service != service) continue;
      all += known.facts.unreadable ? 1 : 0;
      every = every && !known.facts.unreadable;
      for (std::size_t i = 0; i < known.was_ready.size(); ++i) {
        const Endpoint& endpoint = known.facts.endpoints[i];
        const bool tapped = taps_.contains(endpoint.address);
        const bool over = !endpoint.ready && endpoint.terminating && !tapped &&
                          ended_.contains(endpoint.address) && any_ready;
        if (!known.was_ready[i] || over) continue;
        ++all;
        every = every && tapped;
      }
    }
    return all > 0 && every;
  }

  ServiceTable& table_;
  std::mt19937 random_{3};
  std::map<std::string, Addresses> services_;
  std::map<std::string, Known> slices_;
  std::set<net::IpAddress> taps_;
  std::set<net::IpAddress> ended_;  ///< Of those in slices: their pods have ended but for the tap.
  bool current_ = true;
};

TEST_F(ServiceTableTest, PublishesWhatASimpleModelSays) {
  ServiceModel model(table_);
  std::set<net::IpAddress> heard;
  for (int step = 0; step < 50'000; ++step) {
    model.step();
    if (const auto change = table_.flush()) {
      for (const auto& address : change->add) ASSERT_TRUE(heard.insert(address).second);
      for (const auto& address : change->remove) ASSERT_EQ(heard.erase(address), 1U);
    }
    const std::set<net::IpAddress> due = model.due();
    ASSERT_EQ(table_.published(), due) << step;
    ASSERT_EQ(heard, due) << step;
  }
}

}  // namespace
}  // namespace sidetap::webhook::registry
