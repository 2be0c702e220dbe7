#include "webhook/inventory/inventory.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::webhook::inventory {
namespace {

using testing::ElementsAre;

Time at(std::int64_t seconds) {
  return Time(std::chrono::hours(400'000)) + std::chrono::seconds(seconds);
}
identity::Pod pod(const std::string& name, const std::string& uid) {
  return {"shop", name, uid, "n1"};
}
const Inventory::Name kWeb{"shop", "web-1"};

class InventoryTest : public testing::Test {
 protected:
  explicit InventoryTest(InventoryConfig config = {}) : inventory_(config) {}

  void state(ConnectionId connection, bool forwarding, std::int64_t now,
             const std::string& name = "web-1", const std::string& uid = "u-1") {
    inventory_.stated(connection, pod(name, uid), {host(1)}, forwarding, 2, at(now));
  }
  /// One packet is 100 bytes.
  void report(ConnectionId connection, std::uint64_t seen, std::uint64_t lost, std::int64_t now) {
    sidetap::registry::Report report;
    report.counts.seen = seen;
    report.counts.seen_bytes = seen * 100;
    report.counts.forwarded = seen - lost;
    report.counts.forwarded_bytes = (seen - lost) * 100;
    report.lost = {{"kernel_ring", lost}, {"no_session", 0}};
    inventory_.reported(connection, std::move(report), at(now));
  }
  /// After one that applies what it was told.
  void follow(ConnectionId connection, std::uint64_t generation, const std::string& profile,
              bool following = true) {
    sidetap::registry::Report report;
    report.generation = generation;
    report.profile = profile;
    report.following = following;
    inventory_.reported(connection, std::move(report), at(0));
  }
  const Tap& web() { return *inventory_.find(kWeb); }
  std::vector<std::int64_t> sampled() {
    std::vector<std::int64_t> seconds;
    for (const Sample& sample : web().history)
      seconds.push_back(std::chrono::floor<std::chrono::seconds>(sample.at - at(0)).count());
    return seconds;
  }

  std::ptrdiff_t connected() const {
    return std::count_if(inventory_.taps().begin(), inventory_.taps().end(),
                         [](const auto& known) { return !known.second.ended; });
  }

  Inventory inventory_;
};

class SmallInventory : public InventoryTest {
 protected:
  SmallInventory() : InventoryTest(InventoryConfig{.most_taps = 2}) {}
};

TEST_F(InventoryTest, ATapStandsAsItsLastStateSays) {
  EXPECT_EQ(inventory_.find(kWeb), nullptr);
  state(1, false, 5);
  EXPECT_EQ(web().standing(), Standing::kNoSensor);
  EXPECT_EQ(web().pod, pod("web-1", "u-1"));
  EXPECT_EQ(web().since, at(5));
  EXPECT_EQ(connected(), 1);
  inventory_.stated(1, pod("web-1", "u-1"), {host(1), host(2)}, true, 2, at(6));
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  EXPECT_THAT(web().addresses, ElementsAre(host(1), host(2)));
  EXPECT_EQ(web().since, at(5));
}

TEST_F(InventoryTest, ATapThatGoesWithoutAWordIsGoneAndOneThatLeavesHasEnded) {
  state(1, true, 0);
  inventory_.ended(1, at(7));
  EXPECT_EQ(web().standing(), Standing::kGone);
  EXPECT_EQ(web().ended, at(7));
  EXPECT_EQ(connected(), 0);
  state(2, true, 8);
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  EXPECT_EQ(web().since, at(8));
  EXPECT_EQ(inventory_.taps().size(), 1u);
  state(2, false, 9);
  inventory_.ended(2, at(9));
  EXPECT_EQ(web().standing(), Standing::kEnded);
}

TEST_F(InventoryTest, TheNewestOfTwoConnectionsOfOnePodSpeaksForIt) {
  state(1, true, 0);
  report(1, 10, 0, 0);
  state(2, false, 1);
  EXPECT_EQ(connected(), 1);
  state(1, true, 2);
  report(1, 99, 0, 2);
  EXPECT_EQ(web().standing(), Standing::kNoSensor);
  EXPECT_EQ(web().report->counts.seen, 10u);
  report(2, 20, 0, 3);
  EXPECT_EQ(web().report->counts.seen, 20u);
  inventory_.ended(1, at(4));
  EXPECT_FALSE(web().ended);
  state(2, true, 5);
  EXPECT_EQ(web().standing(), Standing::kForwarding);
}

TEST_F(InventoryTest, AnOlderConnectionThatOutlivesTheNewestSpeaksAgain) {
  state(1, true, 0);
  state(2, true, 1);
  inventory_.ended(2, at(2));
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  state(1, false, 3);
  EXPECT_EQ(web().standing(), Standing::kNoSensor);
  inventory_.ended(1, at(4));
  EXPECT_EQ(web().ended, at(4));
}

TEST_F(InventoryTest, AReplacedPodUnderTheSameNameIsAnother) {
  state(1, true, 0, "web-1", "u-1");
  inventory_.ended(1, at(1));
  state(2, true, 2, "web-1", "u-2");
  EXPECT_EQ(inventory_.taps().size(), 2u);
  EXPECT_EQ(web().pod.uid, "u-2");
  EXPECT_EQ(inventory_.taps().begin()->second.pod.uid, "u-1");
  EXPECT_EQ(inventory_.find_pod(pod("web-1", "u-1"))->standing(), Standing::kGone);
  EXPECT_EQ(inventory_.find_pod(pod("web-1", "u-2"))->standing(), Standing::kForwarding);
  EXPECT_EQ(inventory_.find_pod(pod("web-1", "u-3")), nullptr);
}

TEST_F(InventoryTest, ATapOfAnUnknownPodIsKnownByItsFirstAddress) {
  inventory_.stated(1, {}, {host(7)}, true, 2, at(0));
  inventory_.stated(2, {}, {}, true, 2, at(0));
  ASSERT_NE(inventory_.find({"", "10.0.0.7"}), nullptr);
  ASSERT_NE(inventory_.find({"", "connection-2"}), nullptr);
  EXPECT_EQ(inventory_.find({"", "10.0.0.7"})->pod.name, "10.0.0.7");
  EXPECT_EQ(connected(), 2);
  inventory_.ended(1, at(1));
  EXPECT_EQ(inventory_.find({"", "10.0.0.7"})->standing(), Standing::kGone);
  inventory_.stated(3, {}, {host(7)}, true, 2, at(2));
  EXPECT_EQ(inventory_.find({"", "10.0.0.7"})->standing(), Standing::kForwarding);
  EXPECT_EQ(inventory_.taps().size(), 2u);
}

TEST_F(InventoryTest, RatesAreThoseBetweenTheLastTwoReports) {
  state(1, true, 0);
  report(1, 1'000, 0, 0);
  EXPECT_EQ(web().rates().seen_packets, 0);
  report(1, 2'000, 0, 10);
  report(1, 2'500, 100, 20);
  const Rates rates = web().rates();
  EXPECT_DOUBLE_EQ(rates.seen_packets, 50);
  EXPECT_DOUBLE_EQ(rates.seen_bytes, 5'000);
  EXPECT_DOUBLE_EQ(rates.forwarded_packets, 40);
  EXPECT_DOUBLE_EQ(rates.forwarded_bytes, 4'000);
  EXPECT_DOUBLE_EQ(rates.lost_packets, 10);
  EXPECT_EQ(web().recently_lost(), 100u);
  inventory_.ended(1, at(21));
  EXPECT_EQ(web().rates().seen_packets, 0);
}

TEST_F(InventoryTest, ReportsBetweenTwoSamplesRenewTheNewest) {
  state(1, true, 0);
  for (const std::int64_t second : {0, 1, 2, 3, 10, 20, 21, 30})
    report(1, 100 + static_cast<std::uint64_t>(second), 0, second);
  EXPECT_THAT(sampled(), ElementsAre(0, 10, 20, 30));
  EXPECT_EQ(web().reported, at(30));
  EXPECT_EQ(web().history.back().seen, 130u);
}

TEST_F(InventoryTest, TwoReportsOfOneMomentAreOneSample) {
  state(1, true, 0);
  report(1, 1, 0, 0);
  report(1, 2, 0, 0);
  EXPECT_EQ(web().history.size(), 1u);
  EXPECT_EQ(web().history.back().seen, 2u);
}

TEST_F(InventoryTest, TheHistoryEndsAfterItsTimeAlsoWithoutReports) {
  state(1, true, 0);
  report(1, 10, 1, 0);
  report(1, 20, 2, 300);
  report(1, 30, 5, 890);
  EXPECT_EQ(web().recently_lost(), 4u);
  report(1, 40, 5, 1'000);
  EXPECT_THAT(sampled(), ElementsAre(300, 890, 1'000));
  EXPECT_EQ(web().recently_lost(), 3u);
  inventory_.expire(at(1'795));
  EXPECT_THAT(sampled(), ElementsAre(1'000));
  EXPECT_EQ(web().recently_lost(), 0u);
}

TEST_F(InventoryTest, CountsThatWentBackAreThoseOfANewProcess) {
  state(1, true, 0);
  report(1, 1'000, 10, 0);
  report(1, 2'000, 20, 10);
  report(1, 5, 0, 20);
  EXPECT_THAT(sampled(), ElementsAre(20));
  EXPECT_EQ(web().recently_lost(), 0u);
  EXPECT_EQ(web().rates().seen_packets, 0);
}

TEST_F(InventoryTest, AClockThatWasSetBackBeginsTheHistoryAnew) {
  state(1, true, 0);
  report(1, 1, 0, 0);
  report(1, 2, 0, 10);
  report(1, 3, 0, 5);
  EXPECT_THAT(sampled(), ElementsAre(5));
}

TEST_F(InventoryTest, ATapIsForgottenAWhileAfterItsEnd) {
  state(1, true, 0);
  state(2, true, 0, "web-2", "u-2");
  inventory_.ended(1, at(100));
  inventory_.expire(at(1'000));
  EXPECT_NE(inventory_.find(kWeb), nullptr);
  inventory_.expire(at(1'001));
  EXPECT_EQ(inventory_.find(kWeb), nullptr);
  EXPECT_EQ(inventory_.taps().size(), 1u);
}

TEST_F(InventoryTest, ATapThatCameBackIsNotForgotten) {
  state(1, true, 0);
  inventory_.ended(1, at(100));
  state(2, true, 200);
  inventory_.expire(at(5'000));
  ASSERT_NE(inventory_.find(kWeb), nullptr);
  EXPECT_EQ(web().standing(), Standing::kForwarding);
}

TEST_F(SmallInventory, ForgetsThoseThatEndedFirstAndNobodyWhoIsConnected) {
  state(1, true, 0, "web-1", "u-1");
  state(2, true, 0, "web-2", "u-2");
  inventory_.ended(2, at(1));
  inventory_.ended(1, at(2));
  state(3, true, 3, "web-3", "u-3");
  EXPECT_NE(inventory_.find({"shop", "web-1"}), nullptr);
  EXPECT_EQ(inventory_.find({"shop", "web-2"}), nullptr);
  state(4, true, 4, "web-4", "u-4");
  state(5, true, 5, "web-5", "u-5");
  EXPECT_EQ(inventory_.taps().size(), 3u);
  inventory_.ended(4, at(6));
  EXPECT_EQ(inventory_.find({"shop", "web-4"}), nullptr);
  EXPECT_EQ(connected(), 2);
}

TEST_F(InventoryTest, ATapIsPausedWhenItFollowsAnOrderToBe) {
  state(1, true, 0);
  inventory_.ordered(1, {.generation = 7, .profile = "edge", .paused = true});
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  EXPECT_FALSE(web().follows());
  follow(1, 6, "edge");
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  EXPECT_FALSE(web().follows());
  follow(1, 7, "edge", false);
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  EXPECT_FALSE(web().follows());
  follow(1, 7, "edge");
  EXPECT_EQ(web().standing(), Standing::kPaused);
  EXPECT_TRUE(web().follows());
  // Another replica has told it something newer.
  follow(1, 8, "edge");
  EXPECT_EQ(web().standing(), Standing::kForwarding);
  EXPECT_TRUE(web().follows());
  state(1, false, 1);
  EXPECT_EQ(web().standing(), Standing::kNoSensor);
}

TEST_F(InventoryTest, ATapWithoutOrdersFollows) {
  state(1, true, 0);
  EXPECT_TRUE(web().follows());
  inventory_.ordered(1, {.generation = 7});
  EXPECT_FALSE(web().follows());
  // It no longer takes any.
  inventory_.ended(1, at(1));
  state(2, true, 2);
  EXPECT_TRUE(web().follows());
}

TEST_F(InventoryTest, WhoIsNotConnectedIsNotHeard) {
  report(1, 10, 0, 0);
  inventory_.ordered(1, {});
  inventory_.ended(1, at(0));
  EXPECT_TRUE(inventory_.taps().empty());
}

TEST(StandingNames, AreThoseOfTheMetric) {
  EXPECT_EQ(name_of(Standing::kForwarding), "forwarding");
  EXPECT_EQ(name_of(Standing::kPaused), "paused");
  EXPECT_EQ(name_of(Standing::kNoSensor), "no-sensor");
  EXPECT_EQ(name_of(Standing::kGone), "gone");
  EXPECT_EQ(name_of(Standing::kEnded), "ended");
}

}  // namespace
}  // namespace sidetap::webhook::inventory
