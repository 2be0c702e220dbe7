#include "webhook/registry/service_table.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::webhook::registry {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using Addresses = std::vector<net::IpAddress>;

net::IpAddress ip(std::string_view text) { return net::IpAddress::parse(text).value(); }
net::IpAddress pod(unsigned n) { return net::IpAddress::v4(0x0a000000U + n); }
net::IpAddress vip(unsigned n) { return net::IpAddress::v4(0x0a600000U + n); }

SliceFacts slice(std::string name, std::string service, Addresses endpoints) {
  return {.name = std::move(name),
          .service = std::move(service),
          .v4 = true,
          .v6 = false,
          .endpoints = std::move(endpoints)};
}

class ServiceTableTest : public testing::Test {
 protected:
  void SetUp() override { table_.set_current(true); }
  void tap(Addresses add, Addresses remove = {}) { table_.taps_changed({add, remove}); }
  Addresses published() {
    table_.flush();
    return {table_.published().begin(), table_.published().end()};
  }
  ServiceTable table_;
};

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
  std::map<std::string, SliceFacts> slices;
  std::set<net::IpAddress> taps;
  std::set<net::IpAddress> heard;
  bool current = true;
  for (int step = 0; step < 50'000; ++step) {
    const std::string service = "ns/s" + std::to_string(below(6));
    const std::string name = "ns/e" + std::to_string(below(8));
    switch (below(8)) {
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
        Addresses endpoints;
        for (unsigned n = below(4); n-- > 0;) endpoints.push_back(pod(below(10)));
        SliceFacts facts = slice(name, service, endpoints);
        facts.unreadable = below(8) == 0;
        slices[name] = facts;
        table_.set(facts);
        break;
      }
      case 4:
        slices.erase(name);
        table_.remove_slice(name);
        break;
      case 5:
      case 6: {
        const auto address = pod(below(10));
        if (taps.erase(address) > 0) {
          tap({}, {address});
        } else {
          taps.insert(address);
          tap({address});
        }
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
      for (const auto& [slice_name, facts] : slices) {
        if (facts.service != owner) continue;
        all += facts.endpoints.size() + (facts.unreadable ? 1 : 0);
        every = every && !facts.unreadable;
        for (const auto& endpoint : facts.endpoints) every = every && taps.contains(endpoint);
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

TEST(ReadService, TakesEveryClusterIp) {
  const auto facts = read_service(json::parse(R"({"metadata":{"name":"web","namespace":"shop"},
      "spec":{"clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00:96::1","10.96.0.1"]}})"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->name, "shop/web");
  EXPECT_THAT(facts->addresses, ElementsAre(ip("10.96.0.1"), ip("fd00:96::1")));
  const auto old = read_service(json::parse(
      R"({"metadata":{"name":"web","namespace":"shop"},"spec":{"clusterIP":"10.96.0.1"}})"));
  EXPECT_THAT(old->addresses, ElementsAre(ip("10.96.0.1")));
}

TEST(ReadService, HeadlessAndExternalOnesHaveNoAddress) {
  for (const char* spec : {R"({"clusterIP":"None","clusterIPs":["None"]})", R"({"clusterIP":""})",
                           R"({"type":"ExternalName"})", R"({"clusterIPs":[7,{}]})", "[]", "7"}) {
    json object = json::parse(R"({"metadata":{"name":"web","namespace":"shop"}})");
    object["spec"] = json::parse(spec);
    const auto facts = read_service(object);
    ASSERT_TRUE(facts) << spec;
    EXPECT_THAT(facts->addresses, IsEmpty()) << spec;
  }
}

TEST(ReadService, WhatHasNoNameIsNone) {
  for (const char* text : {"{}", "[]", "null", "7", R"({"metadata":7})", R"({"metadata":{}})",
                           R"({"metadata":{"name":"web"}})", R"({"metadata":{"namespace":"a"}})",
                           R"({"metadata":{"name":[],"namespace":"a"}})"}) {
    EXPECT_FALSE(read_service(json::parse(text))) << text;
    EXPECT_FALSE(read_slice(json::parse(text))) << text;
  }
}

TEST(ReadSlice, TakesEveryEndpointReadyOrNot) {
  const auto facts = read_slice(json::parse(R"({
      "metadata":{"name":"web-x","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},
      "addressType":"IPv4",
      "endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}},
                   {"addresses":["10.0.0.2"],"conditions":{"ready":false,"terminating":true}}]})"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->name, "shop/web-x");
  EXPECT_EQ(facts->service, "shop/web");
  EXPECT_TRUE(facts->v4);
  EXPECT_FALSE(facts->v6);
  EXPECT_THAT(facts->endpoints, ElementsAre(ip("10.0.0.1"), ip("10.0.0.2")));
  EXPECT_FALSE(facts->unreadable);
}

TEST(ReadSlice, WhatCannotBeReadCountsAsUntapped) {
  for (const char* rest :
       {R"("addressType":"FQDN","endpoints":[{"addresses":["db.example.com"]}])",
        R"("addressType":"IPv4","endpoints":[{"addresses":["fd00::1"]}])",
        R"("addressType":"IPv4","endpoints":[{"addresses":[]}])",
        R"("addressType":"IPv4","endpoints":[{}])", R"("addressType":"IPv4","endpoints":[7])",
        R"("addressType":"IPv4","endpoints":[{"addresses":[7]}])",
        R"("endpoints":[{"addresses":["10.0.0.1"]}])"}) {
    const auto facts = read_slice(json::parse(
        R"({"metadata":{"name":"x","namespace":"shop","labels":{"kubernetes.io/service-name":"web"}},)" +
        std::string(rest) + "}"));
    ASSERT_TRUE(facts) << rest;
    EXPECT_TRUE(facts->unreadable) << rest;
  }
}

TEST(ReadSlice, WithoutAServiceItIsNone) {
  EXPECT_FALSE(read_slice(json::parse(
      R"({"metadata":{"name":"x","namespace":"shop"},"addressType":"IPv4","endpoints":[]})")));
}

}  // namespace
}  // namespace sidetap::webhook::registry
