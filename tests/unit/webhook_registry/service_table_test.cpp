#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_registry/service_table_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(ServiceTableTest, PublishesWhatHasTappedBackendsOnly) {
  table_.set({"shop/tapped", {vip(1)}});
  table_.set({"shop/mixed", {vip(2)}});
  table_.set({"shop/untapped", {vip(3)}});
  table_.set({"shop/empty", {vip(4)}});
  table_.set(slice("shop/tapped-1", "shop/tapped", {pod(1), pod(2)}));
  table_.set(slice("shop/mixed-1", "shop/mixed", {pod(1), pod(3)}));
  table_.set(slice("shop/untapped-1", "shop/untapped", {pod(3)}));
  tap({pod(1), pod(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  const auto counts = table_.counts();
  EXPECT_EQ(counts.tapped, 1U);
  EXPECT_EQ(counts.mixed, 1U);
  EXPECT_EQ(counts.untapped, 1U);
  EXPECT_EQ(counts.none, 1U);
  EXPECT_EQ(table_.endpoints(), 5U);
}

TEST_F(ServiceTableTest, FollowsTapsAndEndpoints) {
  table_.set(slice("shop/web-1", "shop/web", {pod(1)}));
  table_.set({"shop/web", {vip(1)}});
  tap({pod(1)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  table_.set(slice("shop/web-2", "shop/web", {pod(2)}));
  EXPECT_THAT(published(), IsEmpty()) << "a backend without a tap";
  tap({pod(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  tap({}, {pod(1)});
  EXPECT_THAT(published(), IsEmpty());
  table_.remove_slice("shop/web-1");
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  table_.remove_service("shop/web");
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(ServiceTableTest, EachFamilyStandsForItself) {
  table_.set({"shop/web", {vip(1), ip("fd00:96::1")}});
  table_.set(slice("shop/web-4", "shop/web", {pod(1)}));
  SliceFacts six = slice("shop/web-6", "shop/web", {ip("fd00::1")});
  six.v4 = false;
  six.v6 = true;
  table_.set(six);
  tap({pod(1)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
}

TEST_F(ServiceTableTest, WhatIsOldIsNotPublished) {
  table_.set({"shop/web", {vip(1)}});
  table_.set(slice("shop/web-1", "shop/web", {pod(1)}));
  tap({pod(1)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  table_.set_current(false);
  EXPECT_TRUE(table_.changed());
  EXPECT_THAT(published(), IsEmpty());
  table_.set_current(true);
  EXPECT_THAT(published(), ElementsAre(vip(1)));
}

TEST_F(ServiceTableTest, AListTakesAwayWhatItDoesNotName) {
  table_.set({"shop/a", {vip(1)}});
  table_.set({"shop/b", {vip(2)}});
  table_.set(slice("shop/a-1", "shop/a", {pod(1)}));
  table_.set(slice("shop/b-1", "shop/b", {pod(1)}));
  table_.set(slice("shop/b-2", "shop/b", {pod(2)}));
  tap({pod(1)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  table_.slices_begin();
  table_.set(slice("shop/b-1", "shop/b", {pod(1)}));
  table_.slices_end();
  EXPECT_THAT(published(), ElementsAre(vip(2)));
  table_.services_begin();
  table_.services_end();
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(ServiceTableTest, OfTooManyServicesTheRestIsKeptInView) {
  ServiceTable small({.services = 1, .slices = 10, .endpoints = 10});
  small.set_current(true);
  small.set({"shop/a", {vip(1)}});
  small.set({"shop/b", {vip(2)}});
  for (const char* name : {"shop/a", "shop/b"})
    small.set(slice(std::string(name) + "-1", name, {pod(1)}));
  small.taps_changed({{pod(1)}, {}});
  small.flush();
  EXPECT_THAT(small.published(), ElementsAre(vip(1)));
  EXPECT_TRUE(small.overflowing());
}

TEST_F(ServiceTableTest, OfTooManySlicesNothingIsKnownForSure) {
  ServiceTable small({.services = 10, .slices = 1, .endpoints = 10});
  small.set_current(true);
  small.set({"shop/a", {vip(1)}});
  small.taps_changed({{pod(1)}, {}});
  small.set(slice("shop/a-1", "shop/a", {pod(1)}));
  small.flush();
  EXPECT_THAT(small.published(), ElementsAre(vip(1)));
  small.set(slice("shop/a-2", "shop/a", {pod(2)}));
  small.flush();
  EXPECT_THAT(small.published(), IsEmpty());
}

TEST_F(ServiceTableTest, OfTooManyEndpointsNoneIsTakenForTapped) {
  ServiceTable small({.services = 10, .slices = 10, .endpoints = 2});
  small.set_current(true);
  small.set({"shop/a", {vip(1)}});
  small.taps_changed({{pod(1), pod(2), pod(3)}, {}});
  small.set(slice("shop/a-1", "shop/a", {pod(1), pod(2), pod(3)}));
  small.flush();
  EXPECT_THAT(small.published(), IsEmpty());
}

// Against a plain model, over random histories.
TEST_F(ServiceTableTest, PublishesWhatASimpleModelSays) {
  std::mt19937 random(3);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  std::map<std::string, Addresses> services;
  struct Known {
    SliceFacts facts;
    std::vector<bool> was_ready;
  };
  std::map<std::string, Known> slices;
  std::set<net::IpAddress> taps;
  std::set<net::IpAddress> ended;
  const auto in_a_slice = [&](const net::IpAddress& address) {
    return std::any_of(slices.begin(), slices.end(), [&](const auto& entry) {
      const auto& all = entry.second.facts.endpoints;
      return std::any_of(all.begin(), all.end(),
                         [&](const auto& e) { return e.address == address; });
    });
  };
  const auto forget_those_gone = [&] {
    std::erase_if(ended, [&](const auto& address) { return !in_a_slice(address); });
  };
  std::set<net::IpAddress> heard;
  bool current = true;
  for (int step = 0; step < 50'000; ++step) {
    const std::string service = "ns/s" + std::to_string(below(6));
    const std::string name = "ns/e" + std::to_string(below(8));
    switch (below(9)) {
      case 0: {
        Addresses addresses;
        for (unsigned n = below(3); n-- > 0;) addresses.push_back(vip(below(8)));
        std::sort(addresses.begin(), addresses.end());
        addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
        services[service] = addresses;
        table_.set({service, addresses});
        break;
      }
      case 1:
        services.erase(service);
        table_.remove_service(service);
        break;
      case 2:
      case 3: {
        Known known;
        known.facts = slice(name, service, Endpoints());
        known.facts.unreadable = below(8) == 0;
        for (unsigned n = below(4); n-- > 0;) {
          const Endpoint endpoint{pod(below(10)), below(3) != 0, below(3) == 0};
          known.facts.endpoints.push_back(endpoint);
          bool seen = false, ready = endpoint.ready;
          for (const auto& [other, before] : slices) {
            if (before.facts.service != service) continue;
            for (std::size_t i = 0; i < before.was_ready.size(); ++i) {
              if (before.facts.endpoints[i].address != endpoint.address) continue;
              seen = true;
              ready = ready || before.was_ready[i];
            }
          }
          known.was_ready.push_back(ready || (!seen && endpoint.terminating));
        }
        for (const Endpoint& old : slices[name].facts.endpoints) {
          for (const Endpoint& now : known.facts.endpoints) {
            if (old.address == now.address && old.terminating && !now.terminating)
              ended.erase(old.address);
          }
        }
        table_.set(known.facts);
        slices[name] = known;
        forget_those_gone();
        break;
      }
      case 4:
        slices.erase(name);
        table_.remove_slice(name);
        forget_those_gone();
        break;
      case 5:
      case 6: {
        const auto address = pod(below(10));
        if (taps.erase(address) > 0) {
          tap({}, {address});
        } else {
          taps.insert(address);
          ended.erase(address);
          tap({address});
        }
        break;
      }
      case 7: {
        const auto address = pod(below(10));
        if (in_a_slice(address)) ended.insert(address);
        table_.ended({address});
        break;
      }
      default:
        current = below(4) != 0;
        table_.set_current(current);
    }
    if (const auto change = table_.flush()) {
      for (const auto& address : change->add) ASSERT_TRUE(heard.insert(address).second);
      for (const auto& address : change->remove) ASSERT_EQ(heard.erase(address), 1U);
    }
    std::map<net::IpAddress, bool> expected;
    for (const auto& [owner, addresses] : services) {
      std::size_t all = 0;
      bool every = true;
      bool any_ready = false;
      for (const auto& [slice_name, known] : slices) {
        if (known.facts.service != owner) continue;
        for (const Endpoint& endpoint : known.facts.endpoints) any_ready |= endpoint.ready;
      }
      for (const auto& [slice_name, known] : slices) {
        if (known.facts.service != owner) continue;
        all += known.facts.unreadable ? 1 : 0;
        every = every && !known.facts.unreadable;
        for (std::size_t i = 0; i < known.was_ready.size(); ++i) {
          const Endpoint& endpoint = known.facts.endpoints[i];
          const bool tapped = taps.contains(endpoint.address);
          const bool over = !endpoint.ready && endpoint.terminating && !tapped &&
                            ended.contains(endpoint.address) && any_ready;
          if (!known.was_ready[i] || over) continue;
          ++all;
          every = every && tapped;
        }
      }
      for (const auto& address : addresses) {
        const auto [place, fresh] = expected.try_emplace(address, true);
        place->second = place->second && all > 0 && every;
      }
    }
    std::set<net::IpAddress> due;
    for (const auto& [address, tapped] : expected) {
      if (current && tapped) due.insert(address);
    }
    ASSERT_EQ(table_.published(), due) << step;
    ASSERT_EQ(heard, due) << step;
  }
}

}  // namespace
}  // namespace sidetap::webhook::registry
