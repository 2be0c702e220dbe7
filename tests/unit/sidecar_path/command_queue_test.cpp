// Commands to a thread, and their answers.
#include "sidecar/path/command_queue.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

namespace sidetap {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Both threads are the test's; answers wait until it looks.
class CommandQueueTest : public testing::Test {
 protected:
  CommandQueue::Task note(std::string what) {
    return [this, what = std::move(what)] { noted_.push_back(what); };
  }
  /// What has happened since it was asked last.
  std::vector<std::string> noted() { return std::exchange(noted_, {}); }
  void take_answers() {
    for (const CommandQueue::Task& answer : std::exchange(answers_, {})) answer();
  }
  bool is_readable() const {
    pollfd ready{queue_.descriptor(), POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
  }

  std::vector<std::string> noted_;
  std::vector<CommandQueue::Task> answers_;
  CommandQueue queue_{[this](CommandQueue::Task task) { answers_.push_back(std::move(task)); }};
};

TEST_F(CommandQueueTest, RunsAndAnswersAtOnceWithoutAWorker) {
  queue_.post(note("command"), note("done"));
  EXPECT_THAT(noted(), ElementsAre("command", "done"));
  EXPECT_FALSE(queue_.due());
}

/// Else the worker's poll() returns at once, again and again, and nobody reads the descriptor.
TEST_F(CommandQueueTest, LeavesNothingReadableThatIsNotDue) {
  constexpr std::size_t kRounds = 2'000;
  constexpr std::size_t kBurst = 3;
  queue_.open();
  std::atomic<std::size_t> begun{0};
  std::atomic<std::size_t> given{0};
  std::size_t ran = 0;
  std::thread giver([&] {
    for (std::size_t round = 0; round < kRounds; ++round) {
      while (begun.load() == round) std::this_thread::yield();
      for (std::size_t i = 0; i < kBurst; ++i) queue_.post([&ran] { ++ran; });
      given.store(round + 1);
    }
  });
  std::size_t left_behind = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    begun.store(round + 1);
    while (ran != kBurst * (round + 1)) {
      if (queue_.due())
        queue_.run();
      else
        std::this_thread::yield();
    }
    while (given.load() == round) std::this_thread::yield();
    if (queue_.due()) queue_.run();
    left_behind += is_readable();
  }
  giver.join();
  EXPECT_EQ(left_behind, 0U);
}

TEST_F(CommandQueueTest, RunsInOrderWhenTheWorkerComesBy) {
  queue_.open();
  queue_.post(note("first"));
  queue_.post(note("second"));
  EXPECT_THAT(noted(), IsEmpty());
  EXPECT_TRUE(queue_.due());
  EXPECT_TRUE(is_readable());
  queue_.run();
  EXPECT_THAT(noted(), ElementsAre("first", "second"));
  EXPECT_FALSE(queue_.due());
  EXPECT_FALSE(is_readable());
}

TEST_F(CommandQueueTest, AnswersWhereTheCommandCameFrom) {
  queue_.open();
  queue_.post(note("first"), note("first done"));
  queue_.post(note("second"), note("second done"));
  queue_.run();
  EXPECT_THAT(noted(), ElementsAre("first", "second"));
  take_answers();
  EXPECT_THAT(noted(), ElementsAre("first done", "second done"));
}

TEST_F(CommandQueueTest, BringsTheAnswerToAQuestion) {
  queue_.open();
  int told = 0;
  queue_.ask<int>([] { return 7; }, [&](int answer) { told = answer; });
  queue_.run();
  EXPECT_EQ(told, 0);
  take_answers();
  EXPECT_EQ(told, 7);
}

TEST_F(CommandQueueTest, LeavesWhatACommandGivesForTheNextTime) {
  queue_.open();
  queue_.post([this] { queue_.post(note("later")); });
  queue_.run();
  EXPECT_THAT(noted(), IsEmpty());
  EXPECT_TRUE(queue_.due());
  queue_.run();
  EXPECT_THAT(noted(), ElementsAre("later"));
}

TEST_F(CommandQueueTest, LetsACommandBeDoneLater) {
  queue_.open();
  queue_.post([this] { queue_.answer(note("done")); });
  queue_.run();
  take_answers();
  EXPECT_THAT(noted(), ElementsAre("done"));
}

TEST_F(CommandQueueTest, ForgetsACommandOnceItHasRun) {
  queue_.open();
  const auto held = std::make_shared<int>();
  queue_.post([held] {}, [] {});
  queue_.run();
  EXPECT_EQ(held.use_count(), 1) << "the answer waits, the command is no more";
}

TEST_F(CommandQueueTest, RunsWhatTheWorkerHasLeftWhenItEnds) {
  queue_.open();
  queue_.post(note("left"), note("done"));
  queue_.close();
  EXPECT_THAT(noted(), ElementsAre("left", "done"));
  queue_.post(note("at once"));
  EXPECT_THAT(noted(), ElementsAre("at once"));
}

TEST(CommandQueueThreads, LoseNothing) {
  constexpr unsigned kCommands = 10'000;
  std::atomic<unsigned> answers{0};
  CommandQueue queue([&](const CommandQueue::Task& task) { task(); });
  unsigned sum = 0;
  bool ended = false;
  queue.open();
  std::thread worker([&] {
    while (!ended) {
      pollfd ready{queue.descriptor(), POLLIN, 0};
      poll(&ready, 1, 1'000);
      if (queue.due()) queue.run();
    }
  });
  for (unsigned i = 0; i < kCommands; ++i) queue.post([&] { ++sum; }, [&] { ++answers; });
  queue.post([&] { ended = true; });
  worker.join();
  queue.close();
  EXPECT_EQ(sum, kCommands);
  EXPECT_EQ(answers, kCommands);
}

}  // namespace
}  // namespace sidetap
