// Which collector a tap wants: the pure part.
#include "sidecar/session/collector_choice.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Places = std::vector<CollectorPlace>;

CollectorPlace collector(unsigned number) {
  return {net::IpAddress::v4(0x0af40900 + number), 2003};  // 10.244.9.N
}
Places collectors(unsigned count) {
  Places places;
  for (unsigned i = 1; i <= count; ++i) places.push_back(collector(i));
  return places;
}
std::string tap_address(unsigned number) {
  return net::IpAddress::v4(0x0af40000 + number).to_string();
}

/// A tap whose collectors do what the test says.
class ChoosingTap {
 public:
  explicit ChoosingTap(const std::string& name)
      : choice(name, {milliseconds(500), milliseconds(30'000)}) {}

  /// Everybody answers whom it asks.
  CollectorPlace settle() {
    for (;;) {
      const auto wanted = choice.choose(now);
      if (!wanted || choice.capturing() == wanted) return wanted.value_or(CollectorPlace());
      choice.captures(*wanted, now);
    }
  }
  void pass(milliseconds time) { now += time; }

  CollectorChoice choice;
  CollectorChoice::Time now{seconds(1'000)};
};

TEST(CollectorScore, IsTheSameInEveryReleaseAndOnEveryMachine) {
  EXPECT_EQ(collector_score("10.244.1.7", {ip("10.244.9.1"), 2003}), 0xbf9dd7bcfbada423U);
  EXPECT_EQ(collector_score("shop/cart", {ip("fd00::9"), 2003}), 0x21aee4672d55a328U);
}

TEST(CollectorChoice, RanksWithoutRegardToTheOrderOfTheLookUp) {
  ChoosingTap tap("10.244.1.7");
  Places places = collectors(20);
  tap.choice.list(places);
  const Places ranking = tap.choice.ranking();
  ASSERT_EQ(ranking.size(), 20U);
  std::reverse(places.begin(), places.end());
  places.push_back(places.front());
  tap.choice.list(places);
  EXPECT_EQ(tap.choice.ranking(), ranking);
}

TEST(CollectorChoice, TapsSpreadEvenly) {
  std::map<CollectorPlace, int> taps_of;
  for (unsigned i = 0; i < 3'000; ++i) {
    ChoosingTap tap(tap_address(i));
    tap.choice.list(collectors(3));
    ++taps_of[tap.settle()];
  }
  ASSERT_EQ(taps_of.size(), 3U);
  for (const auto& [place, taps] : taps_of) EXPECT_NEAR(taps, 1'000, 120);
}

TEST(CollectorChoice, OnlyTheTapsOfTheOneThatGoesMove) {
  for (unsigned i = 0; i < 500; ++i) {
    ChoosingTap tap(tap_address(i));
    tap.choice.list(collectors(4));
    const CollectorPlace before = tap.settle();
    Places left = collectors(4);
    std::erase(left, collector(2));
    tap.choice.list(left);
    const CollectorPlace after = tap.settle();
    EXPECT_NE(after, collector(2));
    if (before != collector(2)) {
      EXPECT_EQ(after, before);
    }
  }
}

TEST(CollectorChoice, OnlyThoseThatRankANewOneFirstMove) {
  int moved = 0;
  for (unsigned i = 0; i < 500; ++i) {
    ChoosingTap tap(tap_address(i));
    tap.choice.list(collectors(3));
    const CollectorPlace before = tap.settle();
    tap.choice.list(collectors(4));
    const CollectorPlace after = tap.settle();
    EXPECT_EQ(after, tap.choice.ranking().front());
    if (after == before) continue;
    EXPECT_EQ(after, collector(4));
    ++moved;
  }
  EXPECT_NEAR(moved, 125, 50);
}

TEST(CollectorChoice, TakesTheNextOneAndComesBack) {
  ChoosingTap tap("10.244.1.7");
  tap.choice.list(collectors(3));
  const Places ranking = tap.choice.ranking();
  EXPECT_EQ(tap.settle(), ranking[0]);
  tap.pass(seconds(60));
  tap.choice.fails(ranking[0], tap.now, 0.5);
  EXPECT_FALSE(tap.choice.capturing());
  EXPECT_EQ(tap.settle(), ranking[1]) << "at once";
  ASSERT_TRUE(tap.choice.changes_at(tap.now));
  tap.pass(seconds(1));
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[0]) << "it is tried again";
  EXPECT_EQ(tap.choice.capturing(), ranking[1]) << "the present session goes on meanwhile";
  tap.choice.fails(ranking[0], tap.now, 0.5);
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[1]);
  tap.pass(seconds(60));
  EXPECT_EQ(tap.settle(), ranking[0]);
  EXPECT_FALSE(tap.choice.changes_at(tap.now)) << "none ranks before it";
}

TEST(CollectorChoice, AnAttemptIsNotBrokenOffForOneThatHasRested) {
  ChoosingTap tap("10.244.1.7");
  tap.choice.list(collectors(3));
  const Places ranking = tap.choice.ranking();
  ASSERT_EQ(tap.choice.choose(tap.now), ranking[0]);
  tap.choice.fails(ranking[0], tap.now, 0.5);
  ASSERT_EQ(tap.choice.choose(tap.now), ranking[1]);
  tap.pass(seconds(5));
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[1]) << "it may be slow because many come at once";
  tap.choice.captures(ranking[1], tap.now);
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[0]);
}

TEST(CollectorChoice, OneThatFailsAgainAndAgainRestsLongerAndLonger) {
  ChoosingTap tap("10.244.1.7");
  tap.choice.list(collectors(2));
  const Places ranking = tap.choice.ranking();
  tap.choice.fails(ranking[0], tap.now, 0);
  EXPECT_EQ(tap.settle(), ranking[1]);
  milliseconds before{0};
  for (int i = 0; i < 5; ++i) {
    const auto until = tap.choice.changes_at(tap.now);
    ASSERT_TRUE(until);
    const auto rest = std::chrono::duration_cast<milliseconds>(*until - tap.now);
    EXPECT_GT(rest, before);
    before = rest;
    tap.now = *until;
    ASSERT_EQ(tap.choice.choose(tap.now), ranking[0]);
    tap.choice.fails(ranking[0], tap.now, 0);
  }
}

TEST(CollectorChoice, OneThatLeavesTheNameStaysUntilAnotherCaptures) {
  ChoosingTap tap("10.244.1.7");
  tap.choice.list(collectors(2));
  const Places ranking = tap.choice.ranking();
  ASSERT_EQ(tap.settle(), ranking[0]);
  tap.choice.list({ranking[1]});
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[1]);
  EXPECT_EQ(tap.choice.capturing(), ranking[0]);
  tap.choice.fails(ranking[1], tap.now, 0.5);
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[0]) << "better than none";
  tap.pass(seconds(1));
  EXPECT_EQ(tap.settle(), ranking[1]);
  tap.pass(seconds(3'600));
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[1]) << "it is no candidate any more";
}

TEST(CollectorChoice, WhereAllFailTheLastOneDialsAgainUntilTheRestOfTheNextIsOver) {
  ChoosingTap tap("10.244.1.7");
  tap.choice.list(collectors(3));
  for (int i = 0; i < 3; ++i) {
    const auto wanted = tap.choice.choose(tap.now);
    ASSERT_TRUE(wanted);
    EXPECT_FALSE(tap.choice.rests(*wanted, tap.now));
    tap.choice.fails(*wanted, tap.now, 0.5);
  }
  const Places ranking = tap.choice.ranking();
  EXPECT_EQ(tap.choice.choose(tap.now), ranking[2]);
  EXPECT_TRUE(tap.choice.rests(ranking[2], tap.now));
  const auto until = tap.choice.changes_at(tap.now);
  ASSERT_TRUE(until);
  EXPECT_EQ(tap.choice.choose(*until), ranking[0]);
}

TEST(CollectorChoice, WithoutAPlaceWantsNone) {
  ChoosingTap tap("10.244.1.7");
  EXPECT_FALSE(tap.choice.choose(tap.now));
  EXPECT_FALSE(tap.choice.changes_at(tap.now));
}

TEST(CollectorChoice, HasABoundedNumberOfCandidatesThoseThatRankFirst) {
  ChoosingTap tap("10.244.1.7");
  tap.choice.list(collectors(1'000));
  const Places ranking = tap.choice.ranking();
  ASSERT_EQ(ranking.size(), CollectorChoice::kMostCandidates);
  for (const CollectorPlace& place : collectors(1'000)) {
    if (std::find(ranking.begin(), ranking.end(), place) != ranking.end()) continue;
    EXPECT_LT(collector_score("10.244.1.7", place), collector_score("10.244.1.7", ranking.back()));
  }
}

}  // namespace
}  // namespace sidetap::session
