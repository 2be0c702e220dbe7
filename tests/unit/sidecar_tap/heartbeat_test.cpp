#include "sidecar/tap/heartbeat.h"

#include <gtest/gtest.h>

namespace sidetap {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using State = Heartbeat::State;

class HeartbeatTest : public testing::Test {
 protected:
  State look_after(Heartbeat::Time::duration time, std::uint64_t turns) {
    now_ += time;
    return heartbeat_.look(now_, turns);
  }

  Heartbeat::Time now_{};
  Heartbeat heartbeat_{{.silence = seconds(30), .longest_step = seconds(10)}};
};

TEST_F(HeartbeatTest, AThreadThatMakesTurnsIsAlive) {
  for (std::uint64_t turns = 0; turns < 100; ++turns)
    EXPECT_EQ(look_after(seconds(5), turns), State::kAlive);
}

TEST_F(HeartbeatTest, AThreadHangsThatHasMadeNoTurnForTheWholeSilence) {
  look_after(seconds(5), 7);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(look_after(seconds(5), 7), State::kSilent);
  EXPECT_EQ(look_after(seconds(5), 7), State::kHangs);
  EXPECT_EQ(look_after(hours(1), 7), State::kHangs);
}

TEST_F(HeartbeatTest, AThreadThatNeverBeganHangsToo) {
  for (int i = 0; i < 7; ++i) look_after(seconds(5), 0);
  EXPECT_EQ(heartbeat_.state(), State::kHangs);
}

TEST_F(HeartbeatTest, OneTurnBeginsTheSilenceAnew) {
  look_after(seconds(5), 7);
  for (int i = 0; i < 5; ++i) look_after(seconds(5), 7);
  EXPECT_EQ(look_after(seconds(5), 8), State::kAlive);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(look_after(seconds(5), 8), State::kSilent);
}

TEST_F(HeartbeatTest, AThreadThatGoesOnIsAlive) {
  for (int i = 0; i < 10; ++i) look_after(seconds(5), 7);
  ASSERT_EQ(heartbeat_.state(), State::kHangs);
  EXPECT_EQ(look_after(seconds(5), 8), State::kAlive);
}

TEST_F(HeartbeatTest, AProcessThatStoodStillIsAskedAgainBeforeItsThreadHangs) {
  look_after(seconds(5), 7);
  EXPECT_EQ(look_after(hours(1), 7), State::kSilent) << "the looks stood still as well";
  EXPECT_EQ(look_after(hours(1), 7), State::kSilent) << "once more";
  EXPECT_EQ(look_after(seconds(5), 8), State::kAlive);
}

TEST_F(HeartbeatTest, AClockThatGoesBackIsNoSilence) {
  look_after(seconds(5), 7);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(look_after(seconds(-5), 7), State::kSilent);
}

}  // namespace
}  // namespace sidetap
