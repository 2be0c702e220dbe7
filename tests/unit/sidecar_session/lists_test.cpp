// When to dial and whom: the pure parts.
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "sidecar/session/backoff.h"
#include "sidecar/session/sensor_list.h"

namespace sidetap::session {
namespace {

using std::chrono::milliseconds;

/// A tap's day, told as how long each session stood: when would it dial?
class SimulatedDay {
 public:
  milliseconds dial_again_after(milliseconds stood, double chance = 0.999999) {
    now_ += stood;
    backoff_.session_ended(stood);
    const auto wait = backoff_.wait(chance);
    now_ += wait;
    return wait;
  }
  milliseconds now() const { return now_; }

 private:
  Backoff backoff_{BackoffBounds{}};
  milliseconds now_{0};
};

TEST(Backoff, DoublesFromHalfASecondToThirty) {
  SimulatedDay day;
  for (const int expected : {499, 999, 1'999, 3'999, 7'999, 15'999, 29'999, 29'999, 29'999}) {
    EXPECT_EQ(day.dial_again_after(milliseconds(0)).count(), expected);
  }
}

TEST(Backoff, NeverWaitsLessThanHalfAStep) {
  Backoff least{BackoffBounds{}};
  Backoff most{BackoffBounds{}};
  for (int i = 0; i < 12; ++i) {
    const auto low = least.wait(0).count();
    const auto high = most.wait(0.999999).count();
    EXPECT_NEAR(static_cast<double>(high), 2.0 * static_cast<double>(low), 2);
  }
}

TEST(Backoff, ALongSessionMakesItShortAgain) {
  SimulatedDay day;
  for (int i = 0; i < 10; ++i) day.dial_again_after(milliseconds(0));
  EXPECT_EQ(day.dial_again_after(std::chrono::hours(1)).count(), 499);
}

TEST(Backoff, ASensorThatHangsUpAtOnceIsNotHammered) {
  SimulatedDay day;
  int dials = 0;
  while (day.now() < std::chrono::hours(1)) {
    day.dial_again_after(milliseconds(200));
    ++dials;
  }
  EXPECT_LT(dials, 130);
}

TEST(Backoff, ManyTapsSpreadAfterAnOutage) {
  // 1000 taps lose their sensor at once. How many come back in the busiest tenth of a second?
  std::mt19937 random(1);
  std::uniform_real_distribution<double> chance(0, 1);
  std::map<long, int> busy;
  for (int tap = 0; tap < 1'000; ++tap) {
    Backoff backoff{BackoffBounds{}};
    milliseconds at{0};
    for (int attempt = 0; attempt < 3; ++attempt) at += backoff.wait(chance(random));
    ++busy[at.count() / 100];
  }
  for (const auto& [slot, count] : busy) EXPECT_LT(count, 150) << slot;
}

TEST(SensorList, ReplicateAndBalanceWantEverySensor) {
  for (const SensorMode mode : {SensorMode::kReplicate, SensorMode::kBalance}) {
    SensorList list(mode, 3);
    list.set(0, SensorState::kForwarding);
    list.set(1, SensorState::kFailed);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(list.wanted(i));
  }
}

TEST(SensorList, WantsNoSensorInAPodThatIsOne) {
  for (const SensorMode mode :
       {SensorMode::kReplicate, SensorMode::kFailover, SensorMode::kBalance}) {
    SensorList list(mode, 3);
    list.set(0, SensorState::kForwarding);
    list.set(1, SensorState::kSelf);
    EXPECT_FALSE(list.wanted(0));
    EXPECT_TRUE(list.wanted(1)) << "it is asked again whether that is still so";
    EXPECT_FALSE(list.wanted(2));
    list.set(1, SensorState::kUntried);
    EXPECT_TRUE(list.wanted(0));
  }
}

TEST(SensorList, FailoverWantsTheFirstAndThoseBeforeWhichAllHaveFailed) {
  using enum SensorState;
  struct Row {
    SensorState first, second, third;
    bool wants_second, wants_third;
  };
  for (const Row& row :
       {Row{kUntried, kUntried, kUntried, false, false},
        Row{kFailed, kUntried, kUntried, true, false}, Row{kFailed, kFailed, kUntried, true, true},
        Row{kFailed, kForwarding, kUntried, true, false},
        Row{kForwarding, kFailed, kForwarding, false, false},
        Row{kFailed, kFailed, kFailed, true, true}}) {
    SensorList list(SensorMode::kFailover, 3);
    list.set(0, row.first);
    list.set(1, row.second);
    list.set(2, row.third);
    EXPECT_TRUE(list.wanted(0));
    EXPECT_EQ(list.wanted(1), row.wants_second);
    EXPECT_EQ(list.wanted(2), row.wants_third);
  }
}

}  // namespace
}  // namespace sidetap::session
