// Partly tapped Services: who shares endpoints with them, and which endpoints the clients own.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_registry/service_table_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using PartlyTapped = ServiceTableTest;

TEST_F(PartlyTapped, ItsClientsOwnTheTappedEndpointsAtAllTheirPorts) {
  serve("shop/web", 1, {pod(1), pod(2)}, {tcp(80), udp(53)});
  tap({pod(1)});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80)), at(pod(1), udp(53))));
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(PartlyTapped, TheLastTapEndsItAndTheFirstThatLeavesBeginsIt) {
  serve("shop/web", 1, {pod(1), pod(2)});
  EXPECT_THAT(client_owned(), IsEmpty()) << "no backend is tapped";
  tap({pod(1)});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80))));
  tap({pod(2)});
  EXPECT_THAT(client_owned(), IsEmpty());
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  tap({}, {pod(1)});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(2), tcp(80))));
  EXPECT_THAT(published(), IsEmpty());
  tap({}, {pod(2)});
  EXPECT_THAT(client_owned(), IsEmpty());
}

TEST_F(PartlyTapped, DuringARolloutAPodIsInTheListBeforeItIsReady) {
  serve("shop/web", 1, {pod(1), pod(2)});
  tap({pod(1), pod(3)});
  const auto roll = [this](Endpoints all) {
    SliceFacts facts = slice("shop/web-1", "shop/web", std::move(all));
    facts.ports = {tcp(80)};
    table_.set(facts);
  };
  roll({{pod(1)}, {pod(2)}, unready(3)});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80)), at(pod(3), tcp(80))));
  roll({{pod(1)}, terminating(2), {pod(3)}});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80)), at(pod(3), tcp(80))))
      << "what terminates may still answer";
  roll({terminating(1), {pod(3)}});
  EXPECT_THAT(client_owned(), IsEmpty());
  EXPECT_THAT(published(), ElementsAre(vip(1)));
}

TEST_F(PartlyTapped, WhoSharesOneOfManyEndpointsCountsAsPartlyTappedToo) {
  serve("shop/whole", 1, {pod(1), pod(2), pod(3)});
  serve("shop/part", 2, {pod(3), pod(4)});
  tap({pod(1), pod(2), pod(3)});
  EXPECT_THAT(published(), IsEmpty());
  EXPECT_THAT(client_owned(),
              ElementsAre(at(pod(1), tcp(80)), at(pod(2), tcp(80)), at(pod(3), tcp(80))));
  endpoints("shop/part", {pod(4)});
  EXPECT_THAT(published(), ElementsAre(vip(1))) << "it falls apart";
  EXPECT_THAT(client_owned(), IsEmpty());
  endpoints("shop/part", {pod(3), pod(4)});
  EXPECT_THAT(published(), IsEmpty()) << "and grows together again";
  endpoints("shop/whole", {pod(1), pod(2)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(3), tcp(80))));
}

TEST_F(PartlyTapped, AChainOfThreeIsOne) {
  serve("shop/a", 1, {pod(1), pod(9)});
  serve("shop/b", 2, {pod(1), pod(2)});
  serve("shop/c", 3, {pod(2), pod(3)});
  tap({pod(1), pod(2), pod(3)});
  EXPECT_THAT(published(), IsEmpty());
  EXPECT_EQ(client_owned().size(), 3U);
  tap({pod(9)});
  EXPECT_THAT(published(), ElementsAre(vip(1), vip(2), vip(3)));
  tap({}, {pod(9)});
  EXPECT_THAT(published(), IsEmpty());
  table_.remove_service("shop/b");
  EXPECT_THAT(published(), ElementsAre(vip(3))) << "without its middle";
  table_.set({"shop/b", {vip(2)}});
  EXPECT_THAT(published(), IsEmpty());
  table_.remove_slice("shop/b-1");
  EXPECT_THAT(published(), ElementsAre(vip(3)));
}

TEST_F(PartlyTapped, DifferentPortsOfAPodAreDifferentEndpoints) {
  serve("shop/web", 1, {pod(1)}, {tcp(80)});
  serve("shop/dns", 2, {pod(1), pod(2)}, {tcp(81), udp(80)});
  tap({pod(1)});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(81)), at(pod(1), udp(80))));
  endpoints("shop/web", {pod(1)}, {tcp(80), tcp(81)});
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(PartlyTapped, WhatMayBeAnyPortIsSharedButNotListed) {
  serve("shop/web", 1, {pod(1)}, {tcp(80)});
  serve("shop/any", 2, {pod(1), pod(2)}, {});
  tap({pod(1)});
  EXPECT_THAT(published(), IsEmpty());
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80))));
}

TEST_F(PartlyTapped, AHeadlessServiceLinksNothing) {
  serve("shop/web", 1, {pod(1)});
  serve("shop/peers", 2, {pod(1), pod(2)});
  tap({pod(1)});
  EXPECT_THAT(published(), IsEmpty());
  table_.set(ServiceFacts{"shop/peers"});
  EXPECT_THAT(published(), ElementsAre(vip(1)));
  EXPECT_THAT(client_owned(), IsEmpty());
  table_.set({"shop/peers", {vip(2)}});
  EXPECT_THAT(published(), IsEmpty());
}

TEST_F(PartlyTapped, EachFamilyCountsForItself) {
  table_.set({"shop/web", {vip(1), ip("fd00:96::1")}});
  endpoints("shop/web", {pod(1), pod(2)});
  SliceFacts six = slice("shop/web-6", "shop/web", {ip("fd00::1")});
  six.v4 = false;
  six.v6 = true;
  six.ports = {tcp(80)};
  table_.set(six);
  tap({pod(1), ip("fd00::1")});
  EXPECT_THAT(published(), ElementsAre(ip("fd00:96::1")));
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80))));
}

TEST_F(PartlyTapped, NodesMayAnswerForAServiceWithAnUpstream) {
  serve("kube-system/kube-dns", 10, {pod(1)}, {udp(53)});
  serve("shop/kube-dns", 11, {pod(2)}, {udp(53)});
  tap({pod(1), pod(2)});
  EXPECT_THAT(published(), ElementsAre(vip(10), vip(11)));
  serve("kube-system/kube-dns-upstream", 12, {pod(1)}, {udp(53)});
  EXPECT_THAT(published(), ElementsAre(vip(11))) << "of this namespace only";
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), udp(53))));
  table_.remove_service("kube-system/kube-dns");
  serve("kube-system/kube-dns", 10, {pod(1)}, {udp(53)});
  EXPECT_THAT(published(), ElementsAre(vip(11))) << "whichever comes first";
  table_.remove_service("kube-system/kube-dns-upstream");
  EXPECT_THAT(published(), ElementsAre(vip(10), vip(11)));
  EXPECT_THAT(client_owned(), IsEmpty());
}

TEST_F(PartlyTapped, AnUpstreamWithoutAPlaceMightBeThatOfAnyService) {
  ServiceTable small({.services = 1});
  small.set_current(true);
  small.set({"shop/dns", {vip(1)}});
  small.set(slice("shop/dns-1", "shop/dns", {pod(1)}));
  small.taps_changed({{pod(1)}, {}});
  sidetap::registry::Change change;
  small.flush(change);
  EXPECT_THAT(small.services(), ElementsAre(vip(1)));
  small.set({"shop/dns-upstream", {vip(2)}});
  EXPECT_TRUE(small.changed());
  small.flush(change);
  EXPECT_THAT(small.services(), IsEmpty());
}

TEST_F(PartlyTapped, AnOlderTapOwnsAsItDidBefore) {
  serve("shop/web", 1, {pod(1), pod(2), pod(3)});
  table_.taps_changed({{pod(1), pod(2)}, {}}, {{pod(1)}, {}});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(2), tcp(80))));
  table_.taps_changed({}, {{}, {pod(1)}});
  EXPECT_TRUE(table_.changed());
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80)), at(pod(2), tcp(80))));
  table_.taps_changed({}, {{pod(2)}, {}});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80))));
}

TEST_F(PartlyTapped, AnEndpointThatCannotBeReadIsAnUntappedOne) {
  SliceFacts facts = slice("shop/web-1", "shop/web", {pod(1)});
  facts.ports = {tcp(80)};
  facts.unreadable = true;
  table_.set(facts);
  table_.set({"shop/web", {vip(1)}});
  tap({pod(1)});
  EXPECT_THAT(client_owned(), ElementsAre(at(pod(1), tcp(80))));
}

using CostOfAFlush = ServiceTableTest;

TEST_F(CostOfAFlush, IsThatOfTheComponentsThatSomethingTouched) {
  constexpr unsigned kMany = 500, kEach = 20;
  std::vector<SliceFacts> slices;
  for (unsigned s = 0; s < kMany; ++s) {
    const std::string name = "ns/s" + std::to_string(s);
    Addresses pods;
    for (unsigned e = 0; e < kEach; ++e) pods.push_back(pod(s * kEach + e));
    tap(pods);
    table_.set({name, {vip(s)}});
    slices.push_back(slice(name + "-1", name, pods));
    slices.back().ports = {tcp(80)};
    table_.set(slices.back());
  }
  flush();
  std::size_t before = table_.looked_at();
  tap({}, {pod(77)});
  flush();
  EXPECT_LE(table_.looked_at() - before, kEach);
  EXPECT_EQ(table_.services().size(), kMany - 1);
  before = table_.looked_at();
  table_.slices_begin();
  for (const SliceFacts& each : slices) table_.set(each);
  table_.slices_end();
  flush();
  EXPECT_EQ(table_.looked_at(), before) << "a list that says nothing new";
}

TEST_F(CostOfAFlush, GrowsWithTheServicesOfAnEndpointAndNotWithTheirSquare) {
  constexpr unsigned kMany = 300;
  for (unsigned s = 0; s < kMany; ++s) serve("ns/s" + std::to_string(s), s, {pod(1)});
  tap({pod(1)});
  const std::size_t before = table_.looked_at();
  EXPECT_EQ(published().size(), kMany);
  EXPECT_LE(table_.looked_at() - before, 3 * kMany);
}

}  // namespace
}  // namespace sidetap::webhook::registry
