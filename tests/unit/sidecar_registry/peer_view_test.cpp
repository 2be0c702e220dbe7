// The safety rules: which peers count as tapped, whatever happens to the replicas.
#include "sidecar/registry/peer_view.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/words.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PeerViewTest : public testing::Test {
 protected:
  static PeerView::Time at(int seconds) {
    return PeerView::Time() + std::chrono::hours(1) + std::chrono::seconds(seconds);
  }
  const Addresses& peers() const { return *view_.lists().taps; }
  PeerView view_{std::chrono::seconds(15)};
};

TEST_F(PeerViewTest, NobodyIsTappedUntilAReplicaSaysSo) {
  EXPECT_THAT(peers(), IsEmpty());
  EXPECT_FALSE(view_.deadline());
  EXPECT_FALSE(view_.apply("a", Change{0, 1, {.taps = {host(1)}}, {}}));
  EXPECT_THAT(peers(), IsEmpty());
}

TEST_F(PeerViewTest, TheUnionOverTheReplicasCounts) {
  view_.apply("a", first_rules(1, {host(3), host(1), host(3)}));
  view_.apply("b", first_rules(9, {host(2), host(3)}));
  EXPECT_THAT(peers(), ElementsAre(host(1), host(2), host(3)));
  EXPECT_TRUE(view_.apply("a", Change{1, 2, {}, {.taps = {host(3)}}}));
  EXPECT_THAT(peers(), ElementsAre(host(1), host(2), host(3)));
  EXPECT_TRUE(view_.apply("b", Change{9, 12, {}, {.taps = {host(3)}}}));
  EXPECT_THAT(peers(), ElementsAre(host(1), host(2)));
}

TEST_F(PeerViewTest, AfterAGapOnlyRemovalsCountUntilTheNextSnapshot) {
  view_.apply("a", first_rules(1, {host(1), host(2)}));
  EXPECT_FALSE(view_.apply("a", Change{5, 6, {.taps = {host(3)}}, {.taps = {host(2)}}}));
  EXPECT_THAT(peers(), ElementsAre(host(1)));
  EXPECT_FALSE(view_.apply("a", Change{1, 2, {.taps = {host(4)}}, {}}))
      << "what came between is unknown";
  EXPECT_THAT(peers(), ElementsAre(host(1)));
  view_.apply("a", first_rules(6, {host(1), host(3)}));
  EXPECT_TRUE(view_.apply("a", Change{6, 7, {.taps = {host(5)}}, {}}));
  EXPECT_THAT(peers(), ElementsAre(host(1), host(3), host(5)));
}

TEST_F(PeerViewTest, WhatAReplicaSaidEndsWithItsConnectionWhileAnotherAnswers) {
  view_.apply("a", first_rules(1, {host(1)}));
  view_.apply("b", first_rules(1, {host(2)}));
  view_.lost("a", at(0));
  EXPECT_THAT(peers(), ElementsAre(host(2)));
  EXPECT_FALSE(view_.deadline());
}

TEST_F(PeerViewTest, TheLastWordHoldsForTheGraceAndThenNobodyIsTapped) {
  view_.apply("a", first_rules(1, {host(1)}));
  view_.lost("a", at(0));
  EXPECT_THAT(peers(), ElementsAre(host(1)));
  EXPECT_EQ(view_.deadline(), at(15));
  EXPECT_FALSE(view_.expire(at(14)));
  EXPECT_THAT(peers(), ElementsAre(host(1)));
  EXPECT_TRUE(view_.expire(at(15)));
  EXPECT_THAT(peers(), IsEmpty());
  EXPECT_FALSE(view_.deadline());
  EXPECT_FALSE(view_.expire(at(99)));
}

TEST_F(PeerViewTest, FailedAttemptsDoNotProlongTheGrace) {
  view_.apply("a", first_rules(1, {host(1)}));
  view_.lost("a", at(0));
  view_.lost("a", at(5));
  view_.lost("b", at(9));
  EXPECT_EQ(view_.deadline(), at(15));
}

TEST_F(PeerViewTest, TheGraceBeginsWithTheLastByteAndNotWhenTheLossIsNoticed) {
  view_.apply("a", first_rules(1, {host(1)}));
  view_.apply("b", first_rules(1, {host(2)}));
  view_.lost("a", at(6));
  view_.lost("b", at(2));
  EXPECT_EQ(view_.deadline(), at(17)) << "its word is as old as its last byte";
}

TEST_F(PeerViewTest, TheFirstAnswerReplacesTheLastWord) {
  view_.apply("a", first_rules(1, {host(1), host(2)}));
  view_.lost("a", at(0));
  view_.apply("b", first_rules(1, {host(2)}));
  EXPECT_THAT(peers(), ElementsAre(host(2)));
  EXPECT_FALSE(view_.deadline());
}

TEST_F(PeerViewTest, TellsWhetherATapIsStillListed) {
  const std::vector<net::IpAddress> own = {host(1), host(2)};
  EXPECT_FALSE(view_.lists_any(own));
  view_.apply("a", first_rules(1, {host(2), host(3)}));
  EXPECT_TRUE(view_.lists_any(own));
  view_.apply("a", Change{1, 2, {}, {.taps = {host(2)}}});
  EXPECT_FALSE(view_.lists_any(own));
}

// Against a plain model, over random histories.
TEST_F(PeerViewTest, NeverHoldsAPeerThatNoAnsweringReplicaVouchesFor) {
  std::mt19937 random(7);
  std::map<std::string, std::set<net::IpAddress>> truth;
  std::map<std::string, std::uint64_t> versions;
  const auto some = [&] {
    std::vector<net::IpAddress> list(random() % 4);
    for (auto& address : list) address = host(static_cast<unsigned>(random() % 30));
    return list;
  };
  for (int step = 0; step < 20'000; ++step) {
    const std::string replica(1, static_cast<char>('a' + random() % 3));
    const auto kind = random() % 10;
    if (kind == 0) {
      const auto taps = some();
      view_.apply(replica, first_rules(++versions[replica], taps));
      truth[replica] = {taps.begin(), taps.end()};
    } else if (kind == 1 && truth.size() > 1) {
      view_.lost(replica, at(step));
      truth.erase(replica);
    } else if (truth.contains(replica)) {
      const auto add = some();
      const auto remove = some();
      const auto from = versions[replica]++;
      ASSERT_TRUE(
          view_.apply(replica, Change{from, versions[replica], {.taps = add}, {.taps = remove}}));
      for (const auto& address : remove) truth[replica].erase(address);
      truth[replica].insert(add.begin(), add.end());
    }
    std::set<net::IpAddress> all;
    for (const auto& [name, taps] : truth) all.insert(taps.begin(), taps.end());
    ASSERT_EQ(peers(), std::vector<net::IpAddress>(all.begin(), all.end())) << step;
  }
}

}  // namespace
}  // namespace sidetap::registry
