// When to try again: the pure part.
#include "shared/async/backoff.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace sidetap::async {
namespace {

using std::chrono::milliseconds;

/// A tap's day, as the duration of each session: when does it connect again?
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

TEST(Backoff, APeerThatHangsUpAtOnceIsNotHammered) {
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

TEST(Backoff, SuccessMakesItShortAgain) {
  Backoff backoff{BackoffBounds{}};
  for (int i = 0; i < 10; ++i) backoff.wait(0);
  backoff.succeeded();
  EXPECT_EQ(backoff.wait(0).count(), 250);
}

TEST(Chance, IsWithinItsBoundsAndNotTheSameForTwo) {
  Chance one, other;
  bool same = true;
  for (int i = 0; i < 100; ++i) {
    const double chance = one();
    EXPECT_GE(chance, 0);
    EXPECT_LT(chance, 1);
    same = same && chance == other();
  }
  EXPECT_FALSE(same);
}

}  // namespace
}  // namespace sidetap::async
