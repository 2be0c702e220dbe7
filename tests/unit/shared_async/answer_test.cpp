// A callback's value, and the coroutine that waits for it.
#include "shared/async/answer.h"

#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;

class AnswerTest : public testing::Test {
 protected:
  asio::awaitable<void> take(const Answer<std::string>& answer) {
    const std::string brought = co_await answer.wait();
    got_ = brought;
  }

  asio::io_context context_{1};
  TaskGroup tasks_{context_.get_executor(), nullptr};
  std::string got_;
};

TEST_F(AnswerTest, IsWaitedFor) {
  const Answer<std::string> answer(context_.get_executor());
  tasks_.spawn("take", take(answer));
  context_.poll();
  EXPECT_EQ(got_, "");
  answer.callback()("late");
  context_.poll();
  EXPECT_EQ(got_, "late");
}

TEST_F(AnswerTest, NeedNotBeWaitedForWithoutEnd) {
  const Arrival arrival(context_.get_executor());
  bool ended = false;
  tasks_.spawn("wait", arrival.wait(std::chrono::milliseconds(1)),
               [&](const Result<void>& outcome) { ended = outcome.has_value(); });
  context_.run();
  EXPECT_TRUE(ended);
}

TEST_F(AnswerTest, MayComeBeforeAnybodyWaits) {
  const Answer<std::string> answer(context_.get_executor());
  answer.callback()("early");
  tasks_.spawn("take", take(answer));
  context_.poll();
  EXPECT_EQ(got_, "early");
}

TEST_F(AnswerTest, ACancelledTaskWaitsNoMore) {
  std::function<void(std::string)> callback;
  bool ended = false;
  {
    const Answer<std::string> answer(context_.get_executor());
    callback = answer.callback();
    tasks_.spawn("take", take(answer), [&](const Result<void>&) { ended = true; });
    context_.poll();
    tasks_.cancel();
    context_.poll();
    EXPECT_TRUE(ended);
  }
  callback("to nobody");
  context_.poll();
  EXPECT_EQ(got_, "");
}

}  // namespace
}  // namespace sidetap::async
