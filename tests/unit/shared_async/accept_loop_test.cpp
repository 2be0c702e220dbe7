// The loop accepts connections whatever happens to one of them or to accept() itself.
#include "shared/async/accept_loop.h"

#include <memory>
#include <stdexcept>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shared/telemetry/metrics.h"
#include "tests/support/sanitizer.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::seconds;
using testing::HasSubstr;

class AcceptLoopTest : public testing::Test {
 protected:
  void begin(AcceptLoop::Accepted accepted, AcceptLoop::NextExecutor next = {},
             AcceptLoop::Failed failed = {}) {
    tcp::acceptor listener(context_, {asio::ip::make_address("127.0.0.1"), 0});
    loop_ = std::make_unique<AcceptLoop>(std::move(listener), "test-accept", std::move(accepted),
                                         std::move(next), std::move(failed));
    port_ = loop_->port();
    loop_->start(tasks_, [this](const Result<void>& outcome) {
      EXPECT_TRUE(outcome);
      ended_ = true;
    });
  }
  tcp::socket dial() {
    tcp::socket socket(clients_);
    socket.connect({asio::ip::make_address("127.0.0.1"), port_});
    return socket;
  }
  /// Waits until this many have been accepted.
  [[nodiscard]] bool takes(std::size_t wanted) {
    for (int i = 0; i < 100 && taken_ < wanted; ++i) context_.run_one_for(seconds(1));
    return taken_ == wanted;
  }

  telemetry::MetricsRegistry metrics_;
  asio::io_context clients_{1};
  asio::io_context other_{1};  // outlives the accept that waits with a socket of it
  asio::io_context context_{1};
  TaskGroup tasks_{context_.get_executor(), &metrics_};
  std::unique_ptr<AcceptLoop> loop_;
  std::uint16_t port_ = 0;
  std::size_t taken_ = 0;
  bool ended_ = false;
};

TEST_F(AcceptLoopTest, TakesOneConnectionAfterTheOther) {
  begin([this](tcp::socket socket) { taken_ += socket.is_open(); });
  const auto first = dial();
  const auto second = dial();
  EXPECT_TRUE(takes(2));
}

TEST_F(AcceptLoopTest, GivesSocketsTheExecutorAskedFor) {
  begin([&](tcp::socket socket) { taken_ += socket.get_executor() == other_.get_executor(); },
        [&] { return asio::any_io_executor(other_.get_executor()); });
  const auto client = dial();
  EXPECT_TRUE(takes(1));
}

TEST_F(AcceptLoopTest, AConnectionThatCannotBeServedCostsNoOther) {
  begin([this](tcp::socket) {
    if (++taken_ == 1) throw std::runtime_error("no memory");
  });
  const auto first = dial();
  const auto second = dial();
  EXPECT_TRUE(takes(2));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_task_failures_total{task=\"test-accept\"} 1"));
}

TEST_F(AcceptLoopTest, WithoutDescriptorsItWaitsForThem) {
  if (testing_support::kSanitizerNeedsDescriptors) GTEST_SKIP() << "UBSan needs descriptors";
  begin([this](tcp::socket) { ++taken_; });
  const auto client = dial();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  context_.run_for(std::chrono::milliseconds(350));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  const std::string log =
      testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
  EXPECT_EQ(taken_, 0u);
  const auto line = log.find("cannot accept a connection");
  EXPECT_NE(line, log.npos);
  EXPECT_EQ(log.find("cannot accept a connection", line + 1), log.npos) << "once, not each time";
  EXPECT_TRUE(takes(1));
}

TEST_F(AcceptLoopTest, WhereSomethingCanBeDoneAboutAFailureItIsTriedAgain) {
  if (testing_support::kSanitizerNeedsDescriptors) GTEST_SKIP() << "UBSan needs descriptors";
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  int failures = 0;
  begin([this](tcp::socket) { ++taken_; }, {},
        [&](const boost::system::error_code& error) {
          EXPECT_EQ(error, boost::system::errc::too_many_files_open);
          EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
          ++failures;
          return std::optional(std::chrono::milliseconds(0));
        });
  const auto client = dial();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_TRUE(takes(1));
  EXPECT_EQ(failures, 1);
}

TEST_F(AcceptLoopTest, StoppedItEndsAndTakesNobody) {
  begin([this](tcp::socket) { ++taken_; });
  context_.poll();
  loop_->stop();
  context_.restart();
  context_.run();
  EXPECT_TRUE(ended_);
  EXPECT_THROW(dial(), boost::system::system_error);
  EXPECT_EQ(taken_, 0u);
}

TEST_F(AcceptLoopTest, CancelledItEnds) {
  begin([this](tcp::socket) { ++taken_; });
  context_.poll();
  tasks_.cancel();
  context_.restart();
  context_.run();
  EXPECT_TRUE(ended_);
}

}  // namespace
}  // namespace sidetap::async
