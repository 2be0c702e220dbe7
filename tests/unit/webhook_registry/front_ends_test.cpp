// External IPs, load balancers and node ports, and the lists that go with them.
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_registry/service_table_fixture.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const auto kExternal = ip("203.0.113.7");
const auto kAnyV4 = net::IpAddress::v4(0);
const net::IpAddress kAnyV6;

class FrontEndTest : public ServiceTableTest {
 protected:
  /// A Service of port 80 and perhaps a node port, with a backend pod(1) on the node "a".
  void expose(const std::string& name, unsigned cluster_ip, std::uint16_t node_port,
              Addresses external = {}, bool local = false) {
    ServiceFacts facts{name, {vip(cluster_ip)}};
    facts.ports = {{tcp(80), node_port}};
    facts.external = std::move(external);
    facts.local = local;
    table_.set(facts);
  }
  void on(const std::string& name, Endpoints all) {
    SliceFacts facts = slice(name + "-1", name, std::move(all));
    facts.ports = {tcp(8080)};
    table_.set(facts);
  }
};

TEST_F(FrontEndTest, AreThoseOfServicesWithTappedBackendsOnly) {
  expose("shop/web", 1, 30080, {kExternal});
  on("shop/web", {{pod(1)}});
  EXPECT_THAT(front_ends(), IsEmpty());
  tap({pod(1)});
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV4, tcp(30080)), at(kExternal, tcp(80))));
  expose("shop/web", 1, 30081);
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV4, tcp(30081))));
  on("shop/web", {{pod(1)}, {pod(2)}});
  EXPECT_THAT(front_ends(), IsEmpty()) << "partly tapped";
  on("shop/web", {{pod(1)}});
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV4, tcp(30081))));
  table_.remove_service("shop/web");
  EXPECT_THAT(front_ends(), IsEmpty());
}

TEST_F(FrontEndTest, OfAHeadlessServiceThereAreNone) {
  ServiceFacts facts{"shop/web", {}};
  facts.ports = {{tcp(80), 30080}};
  facts.external = {kExternal};
  table_.set(facts);
  on("shop/web", {{pod(1)}});
  tap({pod(1)});
  EXPECT_THAT(front_ends(), IsEmpty());
}

TEST_F(FrontEndTest, EachFamilyHasItsOwn) {
  ServiceFacts facts{"shop/web", {vip(1), ip("fd00:96::1")}};
  facts.ports = {{tcp(80), 30080}};
  facts.external = {kExternal, ip("2001:db8::7")};
  table_.set(facts);
  SliceFacts six = slice("shop/web-6", "shop/web", {ip("fd00::1")});
  six.v4 = false;
  six.v6 = true;
  table_.set(six);
  on("shop/web", {{pod(1)}});
  tap({ip("fd00::1")});
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV6, tcp(30080)), at(ip("2001:db8::7"), tcp(80))));
}

TEST_F(FrontEndTest, AnAddressThatSeveralClaimNeedsAllOfThem) {
  expose("shop/web", 1, 0, {kExternal});
  expose("shop/api", 2, 0, {kExternal});
  on("shop/web", {{pod(1)}});
  on("shop/api", {{pod(2)}});
  tap({pod(1)});
  EXPECT_THAT(front_ends(), IsEmpty());
  tap({pod(2)});
  EXPECT_THAT(front_ends(), ElementsAre(at(kExternal, tcp(80))));
  tap({}, {pod(1)});
  EXPECT_THAT(front_ends(), IsEmpty());
  expose("shop/web", 1, 0);
  EXPECT_THAT(front_ends(), ElementsAre(at(kExternal, tcp(80))));
}

TEST_F(FrontEndTest, ALocalNodePortIsThatOfNodesWithAReadyEndpoint) {
  table_.set_node({"a", {node(1), ip("fd00:18::1")}});
  table_.set_node({"b", {node(2)}});
  table_.set_node({"c", {node(3)}});
  expose("shop/web", 1, 30080, {kExternal}, true);
  const Endpoint on_a{pod(1), true, false, "a"};
  const Endpoint on_b{pod(2), true, false, "b"};
  const Endpoint leaves_b{pod(2), false, true, "b"};
  on("shop/web", {on_a, on_b});
  tap({pod(1), pod(2)});
  EXPECT_THAT(front_ends(), ElementsAre(at(node(1), tcp(30080)), at(node(2), tcp(30080)),
                                        at(kExternal, tcp(80))));
  on("shop/web", {on_a, leaves_b});
  EXPECT_THAT(front_ends(), ElementsAre(at(node(1), tcp(30080)), at(kExternal, tcp(80))));
  table_.set_node({"a", {node(7)}});
  EXPECT_THAT(front_ends(), ElementsAre(at(node(7), tcp(30080)), at(kExternal, tcp(80))));
  table_.remove_node("a");
  EXPECT_THAT(front_ends(), ElementsAre(at(kExternal, tcp(80))));
}

TEST_F(FrontEndTest, WithoutNodesOnlyNodesAndLocalNodePortsAreMissing) {
  table_.set_node({"a", {node(1)}});
  expose("shop/web", 1, 30080, {}, true);
  expose("shop/api", 2, 30081);
  on("shop/web", {{pod(1), true, false, "a"}});
  on("shop/api", {{pod(1), true, false, "a"}});
  tap({pod(1)});
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV4, tcp(30081)), at(node(1), tcp(30080))));
  EXPECT_THAT(table_.nodes(), ElementsAre(node(1)));
  table_.set_nodes_current(false);
  EXPECT_TRUE(table_.changed());
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV4, tcp(30081))));
  EXPECT_THAT(table_.nodes(), IsEmpty());
  EXPECT_THAT(published(), ElementsAre(vip(1), vip(2)));
  table_.set_nodes_current(true);
  EXPECT_THAT(front_ends(), ElementsAre(at(kAnyV4, tcp(30081)), at(node(1), tcp(30080))));
}

TEST_F(FrontEndTest, OfTooManyNoneIsListedUntilTheyFitAgain) {
  const auto backends = [](Service& service, unsigned external) {
    service.facts.ports = {{tcp(80), 0}};
    service.facts.external.clear();
    for (unsigned i = 0; i < external; ++i) service.facts.external.push_back(node(i));
    service.families[0].vips = {vip(1)};
    service.families[0].qualifies = true;
    return &service.families[0];
  };
  FrontEnds few(3);
  Service one, other;
  few.claim(*backends(one, 2), true);
  few.settle();
  EXPECT_EQ(few.others().listed(), 2U);
  few.claim(*backends(other, 2), true);
  EXPECT_TRUE(few.are_too_many());
  few.claim(*backends(one, 2), true);  // all claim anew
  few.settle();
  EXPECT_EQ(few.others().listed(), 0U);
  EXPECT_EQ(few.cluster_ips().listed(), 1U);
  few.claim(*backends(other, 1), true);
  EXPECT_FALSE(few.are_too_many());
  EXPECT_TRUE(few.withheld());
  few.renew();
  few.claim(*backends(one, 2), true);
  few.settle();
  EXPECT_EQ(few.others().listed(), 2U) << "the first address is both";
  few.withdraw(one.families[0]);
  few.withdraw(other.families[0]);
  EXPECT_EQ(few.wanted(), 0U);
}

using ServiceLists = ServiceTableTest;
using Numbers = std::vector<std::size_t>;

TEST_F(ServiceLists, ServerPortsAreThoseOfAllSlicesAsLongAsOneHasThem) {
  endpoints("shop/web", {pod(1)}, {tcp(80), udp(53)});
  endpoints("shop/peers", {pod(1)}, {tcp(80)});
  flush();
  const auto ports = [this] {
    flush();
    return table_.server_ports();
  };
  EXPECT_THAT(ports(), ElementsAre(at(kAnyV4, tcp(80)), at(kAnyV4, udp(53))));
  table_.remove_slice("shop/web-1");
  EXPECT_TRUE(table_.changed());
  EXPECT_THAT(ports(), ElementsAre(at(kAnyV4, tcp(80))));
  endpoints("shop/peers", {}, {tcp(81)});
  EXPECT_THAT(ports(), ElementsAre(at(kAnyV4, tcp(81))));
}

TEST_F(ServiceLists, ANodeLeavesWithItsAddressesUnlessAnotherHasThem) {
  table_.set_node({"a", {node(1)}});
  table_.set_node({"b", {node(1), node(2)}});
  flush();
  EXPECT_THAT(table_.nodes(), ElementsAre(node(1), node(2)));
  table_.nodes_begin();
  table_.set_node({"a", {node(1)}});
  table_.nodes_end();
  flush();
  EXPECT_THAT(table_.nodes(), ElementsAre(node(1)));
  table_.remove_node("a");
  flush();
  EXPECT_THAT(table_.nodes(), IsEmpty());
}

TEST_F(ServiceLists, NothingIsPublishedWhileTheTableMayBeOutdated) {
  table_.set_node({"a", {node(1)}});
  ServiceFacts facts{"shop/web", {vip(1)}};
  facts.ports = {{tcp(80), 30080}};
  table_.set(facts);
  endpoints("shop/web", {pod(1)});
  serve("shop/part", 2, {pod(2), pod(3)});
  tap({pod(1), pod(2)});
  sidetap::registry::Change change;
  EXPECT_TRUE(table_.flush(change));
  const sidetap::registry::Lists all = change.add;
  EXPECT_EQ(all.services.size(), 1U);
  EXPECT_EQ(all.nodes.size(), 1U);
  EXPECT_EQ(all.client_owned.size(), 1U);
  EXPECT_EQ(all.server_ports.size(), 1U);
  EXPECT_EQ(all.front_ends.size(), 1U);
  table_.set_current(false);
  change = {};
  EXPECT_TRUE(table_.flush(change));
  EXPECT_EQ(change.remove, all);
  table_.set_current(true);
  change = {};
  EXPECT_TRUE(table_.flush(change));
  EXPECT_EQ(change.add, all);
  EXPECT_EQ(change.remove, sidetap::registry::Lists());
}

TEST_F(ServiceLists, WhatDoesNotFitIntoAMessageIsLeftOutListByList) {
  ServiceFacts facts{"shop/web", {vip(1)}};
  facts.ports = {{tcp(80), 30080}};
  table_.set(facts);
  endpoints("shop/web", {pod(1)});
  serve("shop/part", 2, {pod(2), pod(3)});
  tap({pod(1), pod(2)});
  const auto left_out = [this](std::size_t room) {
    sidetap::registry::Change change;
    table_.flush(change, room);
    const auto numbers = table_.left_out();
    return Numbers{numbers.services, numbers.client_owned, numbers.front_ends};
  };
  EXPECT_EQ(left_out(4), (Numbers{0, 0, 0})) << "one of each, and the server port";
  EXPECT_EQ(left_out(3), (Numbers{0, 0, 1}));
  EXPECT_EQ(left_out(2), (Numbers{0, 1, 1}));
  EXPECT_EQ(left_out(1), (Numbers{1, 1, 1}));
  EXPECT_THAT(table_.services(), IsEmpty());
  EXPECT_EQ(left_out(4), (Numbers{0, 0, 0}));
}

TEST_F(ServiceLists, ASliceWithMorePortsThanFitMayHaveAnyPort) {
  ServiceTable small({.ports = 1});
  small.set_current(true);
  SliceFacts facts = slice("shop/web-1", "shop/web", {pod(1)});
  facts.ports = {tcp(80)};
  small.set(facts);
  facts.name = "shop/web-2";
  facts.ports = {tcp(81)};
  small.set(facts);
  sidetap::registry::Change change;
  small.flush(change);
  EXPECT_THAT(small.server_ports(), ElementsAre(at(kAnyV4, tcp(80))));
}

TEST(NodeTable, NodesWithoutAPlaceAreCounted) {
  NodeTable nodes(1);
  nodes.set({"a", {node(1)}});
  nodes.set({"b", {node(2)}});
  EXPECT_EQ(nodes.left_out(), 1U);
  EXPECT_EQ(nodes.list().listed(), 1U);
}

TEST(BoundedList, OfTooManyItemsTheFirstAreListedWhateverTheirHistory) {
  BoundedList<int> list(2);
  std::vector<int> add, remove;
  for (const int item : {4, 3, 2, 1}) list.set(item, true);
  list.flush(add, remove);
  EXPECT_THAT(add, ElementsAre(1, 2));
  EXPECT_EQ(list.left_out(), 2U);
  add.clear();
  list.set(1, false);
  list.set(5, true);
  EXPECT_TRUE(list.changed());
  list.flush(add, remove);
  EXPECT_THAT(add, ElementsAre(3));
  EXPECT_THAT(remove, ElementsAre(1));
  list.assign(2, 4, {4});
  EXPECT_EQ(list.listed(), 2U);
  list.flush(add, remove);
  EXPECT_THAT(list.published(), ElementsAre(4, 5));
}

}  // namespace
}  // namespace sidetap::webhook::registry
