// List by list: what several replicas say together, and what counts after a missed change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/registry/peer_view.h"
#include "tests/unit/sidecar_registry/words.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PeerViewLists : public testing::Test {
 protected:
  static PeerView::Time at(int seconds) {
    return PeerView::Time() + std::chrono::hours(1) + std::chrono::seconds(seconds);
  }
  const CombinedLists& lists() const { return view_.lists(); }

  const net::TransportAddress a_ = endpoint("10.0.0.1:80/tcp");
  const net::TransportAddress b_ = endpoint("10.0.0.2:53/udp");
  const net::TransportAddress c_ = endpoint("[fd00::3]:53/udp");
  PeerView view_{std::chrono::seconds(15)};
};

TEST_F(PeerViewLists, AServiceCountsWhenEveryReplicaThatAnswersSaysSo) {
  EXPECT_FALSE(lists().knows_services);
  view_.apply("a", first_rules(1, {}, {host(8), host(9), host(8)}));
  EXPECT_TRUE(lists().knows_services);
  EXPECT_THAT(*lists().services, ElementsAre(host(8), host(9)));
  view_.apply("b", first_rules(1, {}, {host(7), host(9)}));
  EXPECT_THAT(*lists().services, ElementsAre(host(9)));
  EXPECT_TRUE(view_.apply("a", Change{1, 2, {.services = {host(7)}}, {.services = {host(9)}}}));
  EXPECT_THAT(*lists().services, ElementsAre(host(7)));
  view_.apply("b", first_rules(7, {}));
  EXPECT_THAT(*lists().services, IsEmpty()) << "one that does not tell keeps every view";
  EXPECT_TRUE(lists().knows_services);
  view_.lost("b", at(0));
  EXPECT_THAT(*lists().services, ElementsAre(host(7), host(8)));
  view_.lost("a", at(0));
  EXPECT_THAT(*lists().services, ElementsAre(host(7), host(8))) << "the last word holds";
  EXPECT_TRUE(view_.expire(at(15)));
  EXPECT_FALSE(lists().knows_services);
  view_.apply("a", first_rules(1, {}));
  EXPECT_FALSE(lists().knows_services) << "nobody tells";
}

TEST_F(PeerViewLists, ANewerAndAnOlderReplicaTogetherKnowTheServicesOfBoth) {
  view_.apply("new", snapshot(1, {.services = {host(8)}}));
  view_.apply("old", first_rules(1, {}, {host(8), host(9)}));
  EXPECT_THAT(*lists().services, ElementsAre(host(8)));
}

TEST_F(PeerViewLists, NodesAndFrontEndsCountWhenEveryReplicaListsThem) {
  view_.apply("a", snapshot(1, {.nodes = {host(1), host(2)}, .front_ends = {a_, b_}}));
  EXPECT_THAT(*lists().nodes, ElementsAre(host(1), host(2)));
  EXPECT_THAT(*lists().front_ends, ElementsAre(a_, b_));
  view_.apply("b", snapshot(1, {.nodes = {host(2), host(3)}, .front_ends = {c_, b_}}));
  EXPECT_THAT(*lists().nodes, ElementsAre(host(2)));
  EXPECT_THAT(*lists().front_ends, ElementsAre(b_));
  view_.apply("b", first_rules(2, {}, {host(9)}));
  EXPECT_THAT(*lists().nodes, IsEmpty()) << "a replica with rules 1 does not know them";
  EXPECT_THAT(*lists().front_ends, IsEmpty());
}

TEST_F(PeerViewLists, ClientOwnedEndpointsHaveACautiousAndAGenerousAnswer) {
  view_.apply("a", snapshot(1, {.client_owned = {a_, b_}}));
  view_.apply("b", snapshot(1, {.client_owned = {b_, c_}}));
  EXPECT_THAT(*lists().client_owned_by_all, ElementsAre(b_));
  EXPECT_THAT(*lists().client_owned_by_any, ElementsAre(a_, b_, c_));
  view_.apply("b", first_rules(2, {}, {}));
  EXPECT_THAT(*lists().client_owned_by_all, IsEmpty()) << "peers may hear of rules 1 alone";
  EXPECT_THAT(*lists().client_owned_by_any, ElementsAre(a_, b_));
  view_.apply("b", Snapshot{.version = 3, .rules = 2});
  EXPECT_THAT(*lists().client_owned_by_all, IsEmpty()) << "nor does one without Services know them";
}

TEST_F(PeerViewLists, ServerPortsOfAnyReplicaCount) {
  view_.apply("a", snapshot(1, {.server_ports = {endpoint("0.0.0.0:80/tcp")}}));
  view_.apply("b", snapshot(1, {.server_ports = {endpoint("0.0.0.0:53/udp")}}));
  view_.apply("c", first_rules(1, {}, {}));
  EXPECT_THAT(*lists().server_ports,
              ElementsAre(endpoint("0.0.0.0:80/tcp"), endpoint("0.0.0.0:53/udp")));
}

TEST_F(PeerViewLists, ATapIsOlderWhenAReplicaSaysSoOrNoneThatCouldTellKnowsIt) {
  view_.apply("old", first_rules(1, {host(1), host(2), host(3)}));
  EXPECT_THAT(*lists().older, ElementsAre(host(1), host(2), host(3))) << "nobody can tell";
  view_.apply("new", snapshot(1, {.taps = {host(1), host(2)}, .older = {host(2)}}));
  EXPECT_THAT(*lists().older, ElementsAre(host(2), host(3)));
  view_.apply("newer", snapshot(1, {.taps = {host(1), host(3)}, .older = {host(1)}}));
  EXPECT_THAT(*lists().older, ElementsAre(host(1), host(2)));
  EXPECT_TRUE(view_.apply("newer", Change{1, 2, {}, {.taps = {host(3)}}}));
  EXPECT_THAT(*lists().older, ElementsAre(host(1), host(2), host(3)));
  view_.lost("old", at(0));
  EXPECT_THAT(*lists().older, ElementsAre(host(1), host(2)));
}

TEST_F(PeerViewLists, AfterAGapWhatMakesThisTapLeavePacketsIsRemovedAndNotAdded) {
  view_.apply("a", snapshot(1, {.taps = {host(1), host(2)},
                                .services = {host(3), host(4)},
                                .nodes = {host(5), host(6)},
                                .client_owned = {a_, b_},
                                .front_ends = {a_, b_}}));
  const Change missed{5,
                      6,
                      {.taps = {host(7)},
                       .services = {host(7)},
                       .nodes = {host(7)},
                       .client_owned = {c_},
                       .front_ends = {c_}},
                      {.taps = {host(2)},
                       .services = {host(4)},
                       .nodes = {host(6)},
                       .client_owned = {b_},
                       .front_ends = {b_}}};
  EXPECT_FALSE(view_.apply("a", missed));
  EXPECT_THAT(*lists().taps, ElementsAre(host(1)));
  EXPECT_THAT(*lists().services, ElementsAre(host(3)));
  EXPECT_THAT(*lists().nodes, ElementsAre(host(5)));
  EXPECT_THAT(*lists().client_owned_by_all, ElementsAre(a_));
  EXPECT_THAT(*lists().front_ends, ElementsAre(a_));
  view_.apply("a", snapshot(6, {.services = {host(7)}, .client_owned = {c_}}));
  EXPECT_THAT(*lists().services, ElementsAre(host(7)));
  EXPECT_THAT(*lists().client_owned_by_all, ElementsAre(c_));
}

TEST_F(PeerViewLists, AfterAGapWhatMakesThisTapOwnIsAddedAndNotRemoved) {
  view_.apply("a", snapshot(1, {.taps = {host(1), host(2), host(3)},
                                .older = {host(1)},
                                .client_owned = {a_, b_}}));
  EXPECT_FALSE(view_.apply("a", Change{5,
                                       6,
                                       {.older = {host(2)}, .client_owned = {c_}},
                                       {.older = {host(1)}, .client_owned = {b_}}}));
  EXPECT_THAT(*lists().older, ElementsAre(host(1), host(2)));
  EXPECT_THAT(*lists().client_owned_by_any, ElementsAre(a_, b_, c_));
  view_.apply("a", snapshot(6, {.taps = {host(1), host(2)}, .older = {host(2)}}));
  EXPECT_THAT(*lists().older, ElementsAre(host(2)));
  EXPECT_THAT(*lists().client_owned_by_any, IsEmpty());
}

TEST_F(PeerViewLists, AfterAGapEveryChangeOfServerPortsCounts) {
  view_.apply("a", snapshot(1, {.server_ports = {endpoint("0.0.0.0:80/tcp")}}));
  EXPECT_FALSE(view_.apply("a", Change{5,
                                       6,
                                       {.server_ports = {endpoint("0.0.0.0:53/udp")}},
                                       {.server_ports = {endpoint("0.0.0.0:80/tcp")}}}));
  EXPECT_THAT(*lists().server_ports, ElementsAre(endpoint("0.0.0.0:53/udp")));
}

TEST_F(PeerViewLists, ChangesInOrderCountForEveryList) {
  view_.apply("a", snapshot(1, {.older = {host(1)}, .client_owned = {a_}}));
  EXPECT_TRUE(view_.apply("a", Change{1,
                                      2,
                                      {.older = {host(2)},
                                       .nodes = {host(3)},
                                       .client_owned = {b_},
                                       .server_ports = {endpoint("0.0.0.0:80/tcp")},
                                       .front_ends = {c_}},
                                      {.older = {host(1)}, .client_owned = {a_}}}));
  EXPECT_THAT(*lists().older, ElementsAre(host(2)));
  EXPECT_THAT(*lists().nodes, ElementsAre(host(3)));
  EXPECT_THAT(*lists().client_owned_by_any, ElementsAre(b_));
  EXPECT_THAT(*lists().client_owned_by_all, ElementsAre(b_));
  EXPECT_THAT(*lists().server_ports, ElementsAre(endpoint("0.0.0.0:80/tcp")));
  EXPECT_THAT(*lists().front_ends, ElementsAre(c_));
}

TEST_F(PeerViewLists, AReplicaCannotChangeAListThatItDoesNotKnow) {
  view_.apply("a", first_rules(1, {host(1)}));
  EXPECT_TRUE(view_.apply(
      "a", Change{1, 2, {.services = {host(8)}, .nodes = {host(9)}, .client_owned = {a_}}, {}}));
  EXPECT_FALSE(lists().knows_services);
  EXPECT_THAT(*lists().services, IsEmpty());
  EXPECT_THAT(*lists().nodes, IsEmpty());
  EXPECT_THAT(*lists().client_owned_by_any, IsEmpty());
  EXPECT_THAT(*lists().older, ElementsAre(host(1)));
}

TEST_F(PeerViewLists, EveryListOfTheLastReplicaHoldsForTheGrace) {
  view_.apply("a", snapshot(1, {.taps = {host(1)},
                                .older = {host(1)},
                                .nodes = {host(3)},
                                .client_owned = {a_},
                                .server_ports = {endpoint("0.0.0.0:80/tcp")},
                                .front_ends = {b_}}));
  const CombinedLists before = lists();
  view_.lost("a", at(0));
  EXPECT_FALSE(view_.expire(at(14)));
  EXPECT_EQ(lists().older, before.older);
  EXPECT_EQ(lists().nodes, before.nodes);
  EXPECT_EQ(lists().client_owned_by_any, before.client_owned_by_any);
  EXPECT_EQ(lists().client_owned_by_all, before.client_owned_by_all);
  EXPECT_EQ(lists().server_ports, before.server_ports);
  EXPECT_EQ(lists().front_ends, before.front_ends);
  EXPECT_TRUE(view_.expire(at(15)));
  EXPECT_THAT(*lists().older, IsEmpty());
  EXPECT_THAT(*lists().nodes, IsEmpty());
  EXPECT_THAT(*lists().client_owned_by_any, IsEmpty());
  EXPECT_THAT(*lists().client_owned_by_all, IsEmpty());
  EXPECT_THAT(*lists().server_ports, IsEmpty());
  EXPECT_THAT(*lists().front_ends, IsEmpty());
}

TEST_F(PeerViewLists, AListIsTheSameObjectWhileItsContentIsTheSame) {
  view_.apply("a", snapshot(1, {.taps = {host(1)}, .server_ports = {endpoint("0.0.0.0:80/tcp")}}));
  const CombinedLists before = lists();
  EXPECT_TRUE(view_.apply("a", Change{1, 2, {.taps = {host(2)}}, {}}));
  EXPECT_NE(lists().taps, before.taps);
  EXPECT_EQ(lists().server_ports, before.server_ports);
  view_.apply("b", snapshot(1, {.server_ports = {endpoint("0.0.0.0:80/tcp")}}));
  EXPECT_EQ(lists().server_ports, before.server_ports) << "another replica says the same";
}

}  // namespace
}  // namespace sidetap::registry
