#include <string>

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
  table_.set(slice("shop/mixed-1", "shop/mixed", {pod(4), pod(3)}));
  table_.set(slice("shop/untapped-1", "shop/untapped", {pod(3)}));
  tap({pod(1), pod(2), pod(4)});
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
  table_.set(slice("shop/a-1", "shop/a", {pod(3)}));
  table_.set(slice("shop/b-1", "shop/b", {pod(1)}));
  table_.set(slice("shop/b-2", "shop/b", {pod(2)}));
  tap({pod(1), pod(3)});
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
  sidetap::registry::Change change;
  small.flush(change);
  EXPECT_THAT(small.services(), ElementsAre(vip(1)));
  EXPECT_TRUE(small.overflowing());
}

TEST_F(ServiceTableTest, OfTooManySlicesNothingIsKnownForSure) {
  ServiceTable small({.services = 10, .slices = 1, .endpoints = 10});
  small.set_current(true);
  small.set({"shop/a", {vip(1)}});
  small.taps_changed({{pod(1)}, {}});
  small.set(slice("shop/a-1", "shop/a", {pod(1)}));
  sidetap::registry::Change change;
  small.flush(change);
  EXPECT_THAT(small.services(), ElementsAre(vip(1)));
  small.set(slice("shop/a-2", "shop/a", {pod(2)}));
  small.flush(change);
  EXPECT_THAT(small.services(), IsEmpty());
}

TEST_F(ServiceTableTest, OfTooManyEndpointsNoneIsTakenForTapped) {
  ServiceTable small({.services = 10, .slices = 10, .endpoints = 2});
  small.set_current(true);
  small.set({"shop/a", {vip(1)}});
  small.taps_changed({{pod(1), pod(2), pod(3)}, {}});
  small.set(slice("shop/a-1", "shop/a", {pod(1), pod(2), pod(3)}));
  sidetap::registry::Change change;
  small.flush(change);
  EXPECT_THAT(small.services(), IsEmpty());
}

TEST_F(ServiceTableTest, EachServiceWithAnAddressIsListedWithItsBackends) {
  tap({pod(1)});
  serve("shop/web", 1, {pod(1), pod(2)});
  serve("shop/cart", 2, {pod(1)});
  table_.set(ServiceFacts{.name = "shop/headless"});
  std::vector<std::string> listed;
  table_.each([&listed](const ServiceTable::Listed& service) {
    listed.push_back(service.name + " " + std::to_string(service.tapped) + " of " +
                     std::to_string(service.backends) + (service.v6 ? " v6" : ""));
  });
  EXPECT_EQ(listed, (std::vector<std::string>{"shop/cart 1 of 1", "shop/web 1 of 2"}));
}

}  // namespace
}  // namespace sidetap::webhook::registry
