#include "sidecar/tap/order_desk.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "shared/base64.h"

namespace sidetap {
namespace {

using std::chrono::milliseconds;

/// A token that expires in so many seconds from now.
std::string token_for(std::chrono::seconds time) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  std::string payload;
  append_base64(payload, "{\"exp\":" + std::to_string((now + time).count()) + "}");
  return "e30." + payload.substr(0, payload.find('=')) + ".c2ln";
}

class OrderDeskTest : public testing::Test {
 protected:
  OrderDeskTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    config_.orders.reset(ends[0]);
    writer_.reset(ends[1]);
  }
  void start() {
    desk_ = std::make_unique<OrderDesk>(context_.get_executor(), std::move(config_),
                                        [this](std::string_view reason, bool failed) {
                                          reason_ = reason;
                                          failed_ = failed;
                                        });
    desk_->start();
  }
  void say(const std::string& text) {
    ASSERT_EQ(::write(writer_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  /// Runs until the desk has ended the tap, or so long.
  void run(milliseconds limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!reason_ && std::chrono::steady_clock::now() < end)
      context_.run_one_until(std::min(end, std::chrono::steady_clock::now() + milliseconds(20)));
  }

  boost::asio::io_context context_{1};
  OrderDeskConfig config_;
  net::UniqueFd writer_;
  std::unique_ptr<OrderDesk> desk_;
  std::optional<std::string> reason_;
  bool failed_ = false;
};

TEST_F(OrderDeskTest, ATapThatNeedsATokenWaitsForIt) {
  config_.needs_token = true;
  start();
  EXPECT_TRUE(desk_->awaits_token());
  EXPECT_FALSE(desk_->token());
  say("token first\n");
  while (desk_->awaits_token()) context_.run_one();
  EXPECT_EQ(*desk_->token(), "first");
  say("token second\nstop\n");
  run();
  EXPECT_EQ(*desk_->token(), "second");
  EXPECT_EQ(reason_, "an order");
  EXPECT_FALSE(failed_);
}

TEST_F(OrderDeskTest, ATapThatNobodyGivesATokenEnds) {
  config_.needs_token = true;
  config_.token_patience = milliseconds(30);
  start();
  writer_.reset();
  run();
  EXPECT_EQ(reason_, "no token has arrived");
  EXPECT_TRUE(failed_);
}

TEST_F(OrderDeskTest, TheTapEndsWhenItsTimeIsUp) {
  config_.run_for = milliseconds(30);
  start();
  run();
  EXPECT_EQ(reason_, "the time is up");
  EXPECT_FALSE(failed_);
}

TEST_F(OrderDeskTest, AnOrderGivesATapMoreTime) {
  config_.run_for = milliseconds(50);
  start();
  say("for 1h\n");
  run(milliseconds(200));
  EXPECT_FALSE(reason_);
}

TEST_F(OrderDeskTest, TheTapEndsBeforeItsTokenExpires) {
  start();
  say("for 1h\ntoken " + token_for(std::chrono::seconds(20)) + "\n");
  run();
  EXPECT_EQ(reason_, "the token expires");
  EXPECT_FALSE(failed_);
}

TEST_F(OrderDeskTest, ANewTokenTakesThePlaceOfOneThatExpires) {
  config_.ahead_of_expiry = std::chrono::seconds(0);
  start();
  say("token " + token_for(std::chrono::seconds(2)) + "\ntoken " +
      token_for(std::chrono::hours(1)) + "\n");
  run(milliseconds(2'500));
  EXPECT_FALSE(reason_);
}

TEST_F(OrderDeskTest, WhatIsNoOrderChangesNothing) {
  start();
  say("hello\nfor ever\nstop now\n");
  run(milliseconds(100));
  EXPECT_FALSE(reason_);
  writer_.reset();
  run(milliseconds(100));
  EXPECT_FALSE(reason_);
}

TEST_F(OrderDeskTest, NoOrdersAreReadWhereNoneCanCome) {
  config_.orders.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  config_.run_for = milliseconds(30);
  start();
  run();
  EXPECT_EQ(reason_, "the time is up");
}

}  // namespace
}  // namespace sidetap
