// What of the replicas' lists counts, and when.
#include "sidecar/registry/settled_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/words.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class SettledPeersTest : public testing::Test {
 protected:
  static SettledPeers::Time at(int ms) {
    return SettledPeers::Time() + std::chrono::milliseconds(ms);
  }
  /// The lists of the one replica, and what counts then.
  Peers said(const Snapshot& snapshot, int ms) {
    view_.apply("a", snapshot);
    return later(ms);
  }
  Peers later(int ms) {
    peers_.update(view_, own_, at(ms));
    return *peers_.now();
  }

  const net::TransportAddress here_ = endpoint("10.0.0.1:80/tcp");
  const net::TransportAddress there_ = endpoint("10.0.0.2:80/tcp");
  const net::TransportAddress web_ = endpoint("0.0.0.0:80/tcp");
  const net::TransportAddress dns_ = endpoint("0.0.0.0:53/udp");
  PeerView view_{std::chrono::seconds(15)};
  SettledPeers peers_{std::chrono::milliseconds(250)};
  Addresses own_{host(1)};
};

TEST_F(SettledPeersTest, TellFirstThatNobodyCounts) {
  EXPECT_FALSE(peers_.now());
  EXPECT_TRUE(peers_.update(view_, own_, at(0)));
  EXPECT_EQ(*peers_.now(), Peers());
  EXPECT_FALSE(peers_.update(view_, own_, at(1))) << "that is no news";
}

TEST_F(SettledPeersTest, ThisPodIsNoPeerOfItsOwn) {
  view_.apply("a", first_rules(1, {host(1), host(2)}));
  peers_.update(view_, own_, at(0));
  EXPECT_EQ(peers_.due(), at(250));
  EXPECT_TRUE(peers_.update(view_, own_, at(250)));
  EXPECT_THAT(peers_.now()->tapped, ElementsAre(host(2)));
  EXPECT_THAT(peers_.now()->older, ElementsAre(host(2)));
}

TEST_F(SettledPeersTest, PeersAndServicesSettleEachForThemselves) {
  view_.apply("a", snapshot(1, {.taps = {host(2)}}));
  peers_.update(view_, own_, at(0));
  view_.apply("a", snapshot(2, {.taps = {host(2)}, .services = {host(9)}}));
  EXPECT_FALSE(peers_.update(view_, own_, at(100)));
  EXPECT_EQ(peers_.due(), at(250));
  EXPECT_TRUE(peers_.update(view_, own_, at(250)));
  EXPECT_THAT(peers_.now()->tapped, ElementsAre(host(2)));
  EXPECT_THAT(peers_.now()->services, Optional(IsEmpty()));
  EXPECT_EQ(peers_.due(), at(350));
  EXPECT_TRUE(peers_.update(view_, own_, at(350)));
  EXPECT_THAT(peers_.now()->services, Optional(ElementsAre(host(9))));
  EXPECT_FALSE(peers_.due());
}

TEST_F(SettledPeersTest, WhatMakesThisTapLeavePacketsCountsLateAndGoesAtOnce) {
  const Snapshot listed = snapshot(1, {.taps = {host(2)},
                                       .services = {host(9)},
                                       .nodes = {host(8)},
                                       .client_owned = {here_},
                                       .front_ends = {there_}});
  const Peers none = {.services = Addresses()};
  EXPECT_EQ(said(listed, 0), none);
  EXPECT_EQ(later(249), none);
  const Peers all = {.tapped = {host(2)},
                     .services = Addresses{host(9)},
                     .nodes = {host(8)},
                     .client_owned = {here_},
                     .front_ends = {there_}};
  EXPECT_EQ(later(250), all);
  EXPECT_EQ(said(snapshot(2, {}), 251), none);
}

TEST_F(SettledPeersTest, WhatMakesThisTapOwnCountsAtOnceAndGoesLate) {
  said(snapshot(1, {.taps = {host(2), host(3)}}), 0);
  EXPECT_THAT(later(250).older, IsEmpty());
  const Peers more = said(
      snapshot(2, {.taps = {host(2), host(3)}, .older = {host(2)}, .client_owned = {there_}}), 300);
  EXPECT_THAT(more.older, ElementsAre(host(2)));
  EXPECT_THAT(more.client_owned, ElementsAre(there_));
  const Peers lingering = said(snapshot(3, {.taps = {host(2), host(3)}}), 400);
  EXPECT_THAT(lingering.older, ElementsAre(host(2)));
  EXPECT_THAT(lingering.client_owned, ElementsAre(there_));
  EXPECT_EQ(peers_.due(), at(650));
  EXPECT_THAT(later(649).client_owned, ElementsAre(there_));
  EXPECT_THAT(later(650).older, IsEmpty());
  EXPECT_THAT(later(650).client_owned, IsEmpty());
}

TEST_F(SettledPeersTest, OnlyATappedPeerIsOlder) {
  EXPECT_THAT(said(snapshot(1, {.taps = {host(2)}, .older = {host(2)}}), 0).older, IsEmpty());
  EXPECT_THAT(later(250).older, ElementsAre(host(2)));
  EXPECT_THAT(said(snapshot(2, {}), 260).older, IsEmpty()) << "though its removal is late";
}

TEST_F(SettledPeersTest, APeerThatIsReplacedByANewerTapIsOlderForAWhile) {
  said(snapshot(1, {.taps = {host(2)}, .older = {host(2)}}), 0);
  later(250);
  EXPECT_THAT(said(snapshot(2, {.taps = {host(2)}}), 300).older, ElementsAre(host(2)));
  const Peers settled = later(550);
  EXPECT_THAT(settled.tapped, ElementsAre(host(2)));
  EXPECT_THAT(settled.older, IsEmpty());
}

TEST_F(SettledPeersTest, AnEndpointFollowsTheAddressesOfThisPod) {
  said(snapshot(1, {.client_owned = {here_, there_}}), 0);
  EXPECT_THAT(later(250).client_owned, ElementsAre(here_, there_));
  own_ = {host(2)};
  EXPECT_THAT(later(300).client_owned, ElementsAre(here_))
      << "the new own endpoint must stand first, the other is another pod's now";
  EXPECT_THAT(later(550).client_owned, ElementsAre(here_, there_));
}

TEST_F(SettledPeersTest, TheFormerServerPortsCountBesideTheNewestForAWhile) {
  const Peers first = said(snapshot(1, {.server_ports = {web_}}), 0);
  EXPECT_THAT(first.server_ports, ElementsAre(web_));
  EXPECT_THAT(first.former_server_ports, Optional(IsEmpty()));
  EXPECT_EQ(later(250).former_server_ports, std::nullopt);
  const Peers second = said(snapshot(2, {.server_ports = {dns_}}), 300);
  EXPECT_THAT(second.server_ports, ElementsAre(dns_));
  EXPECT_THAT(second.former_server_ports, Optional(ElementsAre(web_)));
  const Peers third = said(snapshot(3, {.server_ports = {web_, dns_}}), 400);
  EXPECT_THAT(third.server_ports, ElementsAre(web_, dns_));
  EXPECT_THAT(third.former_server_ports, Optional(ElementsAre(web_)));
  EXPECT_EQ(later(550).former_server_ports, std::nullopt);
  EXPECT_FALSE(peers_.due());
}

// Of two taps that hear of the same changes at most a delay apart, both have one list in common.
TEST_F(SettledPeersTest, TwoTapsHaveTheServerPortsOfSomeMomentInCommon) {
  PeerView late_view(std::chrono::seconds(15));
  SettledPeers late(std::chrono::milliseconds(250));
  const std::vector<TransportAddresses> steps = {{}, {web_}, {web_, dns_}, {dns_}, {}};
  constexpr int kEvery = 300, kLater = 200;
  for (int now = 0; now < kEvery * static_cast<int>(steps.size()) + kLater; now += 50) {
    const auto step = static_cast<std::size_t>(now / kEvery);
    if (now % kEvery == 0 && step < steps.size()) {
      view_.apply("a", snapshot(step + 1, {.server_ports = steps[step]}));
    }
    const int heard = now - kLater;
    if (heard >= 0 && heard % kEvery == 0) {
      const auto late_step = static_cast<std::size_t>(heard / kEvery);
      late_view.apply("a", snapshot(late_step + 1, {.server_ports = steps[late_step]}));
    }
    peers_.update(view_, own_, at(now));
    late.update(late_view, own_, at(now));
    const Peers& one = *peers_.now();
    const Peers& other = *late.now();
    const TransportAddresses before = one.former_server_ports.value_or(one.server_ports);
    const TransportAddresses other_before = other.former_server_ports.value_or(other.server_ports);
    EXPECT_TRUE(one.server_ports == other.server_ports || one.server_ports == other_before ||
                before == other.server_ports || before == other_before)
        << now;
  }
}

}  // namespace
}  // namespace sidetap::registry
