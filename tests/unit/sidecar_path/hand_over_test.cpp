// The end of a loop: who still gets what waits in the backlog, and how long it waits for them.
#include <chrono>
#include <future>

#include "tests/unit/sidecar_path/capture_loop_fixture.h"

namespace sidetap {
namespace {

TEST_F(CaptureLoopTest, AnswersWhileItHandsOverWhatAnOutageHasLeft) {
  // Nothing takes what is kept, so there is nothing to wait for.
  loop_->run();
  wait_for_answer([&](auto done) {
    loop_->hand_over(done);
    EXPECT_EQ(counts().captures, 0U);
  });
}

TEST_F(CaptureLoopTest, SaysThatItHasHandedOverWhenNothingIsLeft) {
  constexpr unsigned kPackets = 500;
  const net::UniqueFd sensor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  make_loop(2U << 20);
  loop_->run();
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  EXPECT_EQ(loop_->ledger().kept.value(), kPackets);

  ASSERT_TRUE(loop_->start(order_of(sensor), {}));
  wait_for_answer([&](auto done) {
    loop_->hand_over(done);
    EXPECT_EQ(counts().captures, 1U) << "it answers meanwhile";
  });
  EXPECT_EQ(loop_->ledger().released.value(), kPackets);
}

TEST_F(CaptureLoopTest, HandsOverToAFirstCaptureThatStartsWhenTheTapIsAboutToEnd) {
  constexpr unsigned kPackets = 500;
  const net::UniqueFd sensor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  make_loop(2U << 20);
  loop_->run();
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  wait_for_answer([&](auto done) {
    loop_->hand_over(done);
    settle();  // the loop has seen that nobody takes what waits
    ASSERT_TRUE(loop_->start(order_of(sensor), {}));
  });
  loop_->finish();
  EXPECT_EQ(loop_->ledger().taken.value(), kPackets);
  EXPECT_EQ(loop_->ledger().no_session.value(), 0U);
}

TEST_F(CaptureLoopTest, SaysThatItWaitsForAFirstCaptureAndStopsWaitingWhenItIsHurried) {
  constexpr unsigned kPackets = 500;
  make_loop(2U << 20, std::chrono::hours(1));
  loop_->run();
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  std::promise<void> awaits;
  wait_for_answer([&](auto done) {
    loop_->hand_over(done, [&] { awaits.set_value(); });
    awaits.get_future().wait();
    loop_->hurry();
  });
  loop_->finish();
  EXPECT_EQ(loop_->ledger().no_session.value(), kPackets) << "counted as lost";
}

TEST_F(CaptureLoopTest, AHandOverThatIsHurriedBeforehandDoesNotWait) {
  make_loop(2U << 20, std::chrono::hours(1));
  loop_->run();
  device_.accepted = device_.waiting = 1;
  wait_until_read();
  loop_->hurry();
  wait_for_answer([&](auto done) { loop_->hand_over(done); });
}

TEST_F(CaptureLoopTest, WaitsForNoFirstCaptureWhereNobodyIsDialled) {
  make_loop(2U << 20, std::chrono::hours(1), false);
  loop_->run();
  device_.accepted = device_.waiting = 1;
  wait_until_read();
  EXPECT_EQ(loop_->ledger().kept.value(), 1U);
  bool awaits = false;
  wait_for_answer([&](auto done) { loop_->hand_over(done, [&] { awaits = true; }); });
  EXPECT_FALSE(awaits);
}

}  // namespace
}  // namespace sidetap
