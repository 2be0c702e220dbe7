// Tasks that throw are reported, cancelled tasks end, and a waiting caller learns when.
#include "shared/async/task_group.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/caught.h"
#include "shared/async/waiting.h"
#include "shared/telemetry/metrics.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;
using std::chrono::hours;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

class TaskGroupTest : public testing::Test {
 protected:
  asio::awaitable<void> returns() { co_return; }
  asio::awaitable<void> throws(std::string text) {
    co_await asio::post(context_, asio::use_awaitable);
    throw std::runtime_error(text);
  }
  asio::awaitable<void> throws_a_number() {
    co_await asio::post(context_, asio::use_awaitable);
    throw 1;
  }
  asio::awaitable<void> sleeps(milliseconds time) {
    asio::steady_timer timer(context_, time);
    co_await timer.async_wait(asio::use_awaitable);
  }
  /// Ends on a request, like work that must end gracefully.
  asio::awaitable<void> waits_for(Interruption& interruption) {
    co_await sleep(context_.get_executor(), hours(1), &interruption);
  }
  asio::awaitable<void> waits(milliseconds limit, bool& ended) {
    ended = co_await group_->wait(limit);
  }
  TaskGroup::Ended notes() {
    return [this](const Result<void>& outcome) {
      outcomes_.push_back(outcome ? "well" : outcome.error().text);
    };
  }
  void run() {
    context_.restart();
    context_.run();
  }

  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  std::unique_ptr<TaskGroup> group_ =
      std::make_unique<TaskGroup>(context_.get_executor(), &metrics_);
  std::vector<std::string> outcomes_;
};

TEST_F(TaskGroupTest, ATaskThatReturnsHasEndedWell) {
  group_->spawn("good", returns(), notes());
  EXPECT_EQ(group_->running(), 1u);
  run();
  EXPECT_EQ(group_->running(), 0u);
  EXPECT_THAT(outcomes_, ElementsAre("well"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"good\"} 0"));
}

TEST_F(TaskGroupTest, WhatATaskThrowsIsLoggedCountedAndTold) {
  group_->spawn("bad", throws("no luck"), notes());
  group_->spawn("bad", throws_a_number(), notes());
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  run();
  const std::string log =
      testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout();
  EXPECT_THAT(log, HasSubstr("task=\"bad\" reason=\"no luck\""));
  EXPECT_THAT(outcomes_, ElementsAre("no luck", "an exception of unknown type"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"bad\"} 2"));
}

TEST_F(TaskGroupTest, WhatIsThrownUponTheEndIsSeenToo) {
  group_->spawn("bad", returns(), [](const Result<void>&) { throw std::runtime_error("at last"); });
  run();
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"bad\"} 1"));
}

TEST_F(TaskGroupTest, ToBeCancelledIsNoFailure) {
  group_->spawn("long", sleeps(hours(1)), notes());
  group_->spawn("long", sleeps(hours(1)), notes());
  asio::post(context_, [&] { group_->cancel(); });
  run();
  EXPECT_THAT(outcomes_, ElementsAre("well", "well"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"long\"} 0"));
}

TEST_F(TaskGroupTest, AnAbortThatNobodyAskedForIsAFailure) {
  asio::steady_timer timer(context_, hours(1));
  const auto wait = [&]() -> asio::awaitable<void> {
    co_await timer.async_wait(asio::use_awaitable);
  };
  group_->spawn("aborted", wait(), notes());
  asio::post(context_, [&] { timer.cancel(); });
  run();
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"aborted\"} 1"));
}

TEST_F(TaskGroupTest, WaitingEndsWithTheLastTaskOrWithItsLimit) {
  TaskGroup others(context_.get_executor(), nullptr);
  Interruption first, second;
  group_->spawn("first", waits_for(first));
  group_->spawn("second", waits_for(second));
  bool ended = true;
  others.spawn("wait", waits(milliseconds(1), ended));
  context_.run_for(milliseconds(50));
  EXPECT_FALSE(ended);
  asio::post(context_, [&] {
    first.request();
    second.request();
  });
  others.spawn("wait", waits(hours(1), ended));
  run();
  EXPECT_TRUE(ended);
  EXPECT_EQ(group_->running(), 0u);
}

TEST_F(TaskGroupTest, SupervisedWorkIsBegunAnewUntilItReturns) {
  int begun = 0;
  group_->supervise("steady", [&] { return ++begun < 4 ? throws("once more") : returns(); },
                    notes(), {milliseconds(1), milliseconds(2)});
  run();
  EXPECT_EQ(begun, 4);
  EXPECT_THAT(outcomes_, ElementsAre("once more", "once more", "once more"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"steady\"} 3"));
}

TEST_F(TaskGroupTest, SupervisedWorkThatCannotEvenBeginIsTriedAgain) {
  int begun = 0;
  group_->supervise("steady",
                    [&] {
                      if (++begun < 3) throw std::bad_alloc();
                      return returns();
                    },
                    notes(), {milliseconds(1), milliseconds(1)});
  run();
  EXPECT_EQ(begun, 3);
}

TEST_F(TaskGroupTest, WhoWaitsDoesNotWaitForSupervisedWorkToBeBegunAnew) {
  TaskGroup others(context_.get_executor(), nullptr);
  int begun = 0;
  bool ended = false;
  group_->supervise(
      "steady", [&] { return ++begun, throws("for ever"); },
      [&](const Result<void>&) { others.spawn("wait", waits(hours(1), ended)); },
      {hours(1), hours(1)});
  run();
  EXPECT_EQ(begun, 1);
  EXPECT_TRUE(ended);
}

TEST_F(TaskGroupTest, CancellingEndsSupervisedWorkForGood) {
  int begun = 0;
  group_->supervise("steady", [&] { return ++begun, sleeps(hours(1)); }, notes(),
                    {milliseconds(1), milliseconds(1)});
  asio::post(context_, [&] { group_->cancel(); });
  run();
  EXPECT_EQ(begun, 1);
  EXPECT_THAT(outcomes_, ElementsAre());
}

TEST_F(TaskGroupTest, AfterTheGroupsEndNobodyIsToldAndNothingIsBegunAnew) {
  int begun = 0;
  group_->spawn("bad", throws("late"), notes());
  group_->supervise("steady", [&] { return ++begun, throws("late"); }, notes(),
                    {milliseconds(1), milliseconds(1)});
  context_.poll_one();
  group_.reset();
  run();
  EXPECT_THAT(outcomes_, ElementsAre());
  EXPECT_LE(begun, 1);
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"bad\"} 1"));
}

TEST_F(TaskGroupTest, TasksMayBeDestroyedWithTheirContext) {
  auto context = std::make_unique<asio::io_context>(1);
  auto group = std::make_unique<TaskGroup>(context->get_executor(), nullptr);
  const auto held = std::make_shared<int>(0);
  const auto wait = [](asio::io_context& own, std::shared_ptr<int> kept) -> asio::awaitable<void> {
    asio::steady_timer timer(own, hours(1));
    co_await timer.async_wait(asio::use_awaitable);
    ++*kept;
  };
  group->spawn("long", wait(*context, held), notes());
  context->poll();
  EXPECT_EQ(held.use_count(), 2);
  context.reset();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_THAT(outcomes_, ElementsAre());
}

TEST_F(TaskGroupTest, AFailureOfACallbackIsCountedByName) {
  group_->failed("callback", std::make_exception_ptr(std::runtime_error("x")));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"callback\"} 1"));
}

TEST_F(TaskGroupTest, RunToEndTellsWhatWasThrown) {
  EXPECT_NO_THROW(run_to_end(context_, sleeps(milliseconds(1))));
  EXPECT_THROW(run_to_end(context_, throws("x")), std::runtime_error);
}

TEST_F(TaskGroupTest, CaughtTurnsExceptionsIntoErrorsAndLetsTheEndPass) {
  const auto question = [](bool good) -> asio::awaitable<Result<int>> {
    if (!good) throw std::runtime_error("no answer");
    co_return 1;
  };
  const auto nap = [this]() -> asio::awaitable<Result<void>> {
    co_await sleeps(hours(1));
    co_return Result<void>{};
  };
  const auto ask = [&]() -> asio::awaitable<void> {
    const auto good = co_await caught(question(true));
    EXPECT_EQ(good.value(), 1);
    const auto bad = co_await caught(question(false));
    EXPECT_EQ(bad.error().text, "no answer");
    co_await caught(nap());
    ADD_FAILURE() << "the end did not pass";
  };
  group_->spawn("asks", ask(), notes());
  context_.poll();
  asio::post(context_, [&] { group_->cancel(); });
  run();
  EXPECT_THAT(outcomes_, ElementsAre("well"));
}

}  // namespace
}  // namespace sidetap::async
