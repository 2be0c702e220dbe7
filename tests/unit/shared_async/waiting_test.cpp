// Waiting for time, descriptors and names, and how it ends.
#include "shared/async/waiting.h"

#include <array>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/async/resolve.h"
#include "shared/async/task_group.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;
using std::chrono::hours;
using std::chrono::milliseconds;

class WaitingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    fd_.emplace(context_.get_executor(), net::UniqueFd(ends[0]));
    other_.reset(ends[1]);
  }
  /// Runs the wait and, when it stands, `then`.
  Wait result_of(
      asio::awaitable<Wait> wait, std::function<void()> then = [] {}) {
    std::optional<Wait> result;
    tasks_.spawn("wait", store(std::move(wait), result));
    asio::post(context_, then);
    context_.restart();
    context_.run();
    EXPECT_TRUE(result);
    return result.value_or(Wait::kReady);
  }

  asio::io_context context_{1};
  TaskGroup tasks_{context_.get_executor(), nullptr};
  std::optional<AsyncFd> fd_;
  net::UniqueFd other_;
  Interruption interruption_;

 private:
  static asio::awaitable<void> store(asio::awaitable<Wait> wait, std::optional<Wait>& into) {
    into = co_await std::move(wait);
  }
};

TEST_F(WaitingTest, SleepEndsWithTheTimeOrWithARequest) {
  const auto executor = context_.get_executor();
  EXPECT_EQ(result_of(sleep(executor, milliseconds(1), nullptr)), Wait::kTimedOut);
  EXPECT_EQ(result_of(sleep(executor, hours(1), &interruption_), [&] { interruption_.request(); }),
            Wait::kInterrupted);
  // The request stands until it is cleared.
  EXPECT_EQ(result_of(sleep(executor, hours(1), &interruption_)), Wait::kInterrupted);
  interruption_.clear();
  EXPECT_EQ(result_of(sleep(executor, milliseconds(1), &interruption_)), Wait::kTimedOut);
}

TEST_F(WaitingTest, ADescriptorIsReadyWhenThereAreBytesOrTheOtherEndHasGone) {
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kWrite, hours(1), nullptr)), Wait::kReady);
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kRead, std::nullopt, nullptr),
                      [&] { ASSERT_EQ(::write(other_.get(), "x", 1), 1); }),
            Wait::kReady);
  char byte = 0;
  ASSERT_EQ(::read(fd_->get(), &byte, 1), 1);
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kRead, std::nullopt, nullptr), [&] { other_.reset(); }),
            Wait::kReady);
}

TEST_F(WaitingTest, ADescriptorsWaitEndsWithItsLimitOrWithARequest) {
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kRead, milliseconds(1), &interruption_)), Wait::kTimedOut);
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kRead, hours(1), &interruption_),
                      [&] { interruption_.request(); }),
            Wait::kInterrupted);
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kRead, hours(1), &interruption_)), Wait::kInterrupted);
}

TEST_F(WaitingTest, CancellingTheTaskInterruptsItsWaits) {
  EXPECT_EQ(result_of(fd_->wait(AsyncFd::kRead, hours(1), nullptr), [&] { tasks_.cancel(); }),
            Wait::kInterrupted);
  EXPECT_EQ(result_of(sleep(context_.get_executor(), hours(1), nullptr), [&] { tasks_.cancel(); }),
            Wait::kInterrupted);
}

TEST_F(WaitingTest, ADescriptorCanBeHandedOn) {
  const int number = fd_->get();
  net::UniqueFd released = fd_->release();
  EXPECT_EQ(released.get(), number);
  EXPECT_EQ(::write(released.get(), "x", 1), 1);
}

class ResolveTest : public testing::Test {
 protected:
  using Answer = Result<std::vector<asio::ip::tcp::endpoint>>;
  Answer resolve(const net::HostPort& name, Interruption* interruption = nullptr) {
    asio::io_context context{1};
    std::optional<Answer> answer;
    run_to_end(context, ask(context, name, interruption, answer));
    return answer.value();
  }

 private:
  static asio::awaitable<void> ask(asio::io_context& context, const net::HostPort& name,
                                   Interruption* interruption, std::optional<Answer>& into) {
    into.emplace(co_await async::resolve(context.get_executor(), name, interruption));
  }
};

TEST_F(ResolveTest, AnAddressIsItself) {
  const auto v4 = resolve({"192.0.2.1", 7});
  ASSERT_TRUE(v4);
  EXPECT_THAT(
      *v4, testing::ElementsAre(asio::ip::tcp::endpoint(asio::ip::make_address("192.0.2.1"), 7)));
  EXPECT_EQ(resolve({"2001:db8::1", 7})->size(), 1u);
}

TEST_F(ResolveTest, ANameIsLookedUp) {
  const auto found = resolve({"localhost", 7});
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_FALSE(found->empty());
  EXPECT_TRUE(found->front().address().is_loopback());
  EXPECT_EQ(found->front().port(), 7);
}

TEST_F(ResolveTest, WhatIsNoNameIsAnErrorThatNamesIt) {
  const auto found = resolve({"no such name", 7});
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().text, testing::HasSubstr("look-up of no such name: "));
}

TEST_F(ResolveTest, AnInterruptedLookUpIsNotWaitedFor) {
  Interruption interruption;
  interruption.request();
  const auto found = resolve({"localhost", 7}, &interruption);
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().text, testing::HasSubstr("interrupted"));
}

}  // namespace
}  // namespace sidetap::async
