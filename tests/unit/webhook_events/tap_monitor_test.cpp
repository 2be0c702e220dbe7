// When a pod is told that its tap has no sensor, and that it has one again.
#include "webhook/events/tap_monitor.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::webhook::events {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TapMonitorTest : public testing::Test {
 protected:
  void look(const std::vector<bool>& without_sensor) {
    std::vector<TapCondition> taps;
    for (std::size_t i = 0; i < without_sensor.size(); ++i)
      taps.push_back(
          {&pods_.at(i), without_sensor[i], without_sensor[i] ? "10.0.0.1: refused" : ""});
    monitor_.look(taps, now_, [this](Event event) {
      ++offered_;
      if (outcome_ == Outcome::kQueued) events_.push_back(std::move(event));
      return outcome_;
    });
  }
  std::vector<std::string> said() {
    std::vector<std::string> all;
    for (const Event& event : events_) all.push_back(event.subject.name + " " + event.reason);
    events_.clear();
    return all;
  }

  std::vector<identity::Pod> pods_{{.name_space = "shop", .name = "a", .uid = "u-a"},
                                   {.name_space = "shop", .name = "b", .uid = "u-b"},
                                   {.name_space = "shop", .name = "c"}};
  TapMonitor monitor_;
  Time now_{1'000h};
  Outcome outcome_ = Outcome::kQueued;
  int offered_ = 0;
  std::vector<Event> events_;
};

TEST_F(TapMonitorTest, AfterAMinuteWithoutASensorAndWhenThereIsOneAgain) {
  look({true});
  now_ += 59s;
  look({true});
  EXPECT_EQ(offered_, 0);
  now_ += 1s;
  look({true});
  ASSERT_EQ(events_.size(), 1U);
  const Event event = events_.front();
  EXPECT_TRUE(event.warning);
  EXPECT_EQ(event.subject.api_version, "v1");
  EXPECT_EQ(event.subject.kind, "Pod");
  EXPECT_EQ(event.subject.uid, "u-a");
  EXPECT_THAT(event.message, HasSubstr("10.0.0.1: refused"));
  EXPECT_TRUE(is_valid(event));
  EXPECT_THAT(said(), ElementsAre("a TapWithoutSensor"));
  now_ += 1h;
  look({true});
  EXPECT_EQ(offered_, 1);
  look({false});
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_FALSE(events_.front().warning);
  EXPECT_EQ(events_.front().occurrence, event.occurrence);
  EXPECT_THAT(said(), ElementsAre("a TapHasSensor"));
  look({false});
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(TapMonitorTest, AShortInterruptionIsNotTold) {
  look({true});
  now_ += 30s;
  look({false});
  now_ += 31s;
  look({true});
  now_ += 59s;
  look({true});
  EXPECT_EQ(offered_, 0);
}

TEST_F(TapMonitorTest, ATapThatIsGoneIsForgotten) {
  look({true});
  now_ += 2min;
  look({true});
  EXPECT_THAT(said(), ElementsAre("a TapWithoutSensor"));
  look({});
  look({false});
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(TapMonitorTest, APodWithoutAUidIsNotLookedAt) {
  look({false, false, true});
  now_ += 2min;
  look({false, false, true});
  EXPECT_EQ(offered_, 0);
}

TEST_F(TapMonitorTest, WhatTheQueueDoesNotTakeIsOfferedAgainAMinuteLater) {
  look({true});
  now_ += 1min;
  outcome_ = Outcome::kTooSoon;
  look({true});
  now_ += 10s;
  look({true});
  EXPECT_EQ(offered_, 1);
  now_ += 50s;
  outcome_ = Outcome::kQueued;
  look({true});
  EXPECT_THAT(said(), ElementsAre("a TapWithoutSensor"));
}

TEST_F(TapMonitorTest, AFullQueueIsNotOfferedMore) {
  look({true, true});
  now_ += 1min;
  outcome_ = Outcome::kFull;
  look({true, true});
  EXPECT_EQ(offered_, 1);
  outcome_ = Outcome::kQueued;
  now_ += 1min;
  look({true, true});
  EXPECT_THAT(said(), ElementsAre("a TapWithoutSensor", "b TapWithoutSensor"));
}

TEST_F(TapMonitorTest, AnotherReplicaThatNoticesALittleLaterSaysTheSame) {
  TapMonitor other;
  std::vector<Event> theirs;
  const std::vector<TapCondition> taps{{&pods_[0], true, "10.0.0.1: refused"}};
  look({true});
  other.look(taps, now_ + 5s, [](Event) { return Outcome::kQueued; });
  now_ += 70s;
  look({true});
  other.look(taps, now_, [&theirs](Event event) {
    theirs.push_back(std::move(event));
    return Outcome::kQueued;
  });
  ASSERT_EQ(events_.size(), 1U);
  ASSERT_EQ(theirs.size(), 1U);
  EXPECT_EQ(events_[0].message, theirs[0].message);
  EXPECT_EQ(events_[0].occurrence, theirs[0].occurrence);
}

}  // namespace
}  // namespace sidetap::webhook::events
