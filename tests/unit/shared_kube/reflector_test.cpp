// Lists and watches against misbehaving servers: each is asked from time to time, not as often as
// it answers.
#include "shared/kube/reflector.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "shared/http/https_server.h"
#include "tests/support/certificates.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kList =
    R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}}]})";
constexpr const char* kEvent =
    R"({"type":"ADDED","object":{"metadata":{"name":"b","resourceVersion":"8"}}})"
    "\n";

class ReflectorTest : public testing::Test {
 protected:
  using Answer = std::function<std::string(std::string_view target)>;

  ReflectorTest() {
    config_.path = "/things";
    config_.wait = {milliseconds(5), milliseconds(10'000)};
    events_.list_begins = [this] { told_.clear(); };
    events_.present = [this](const nlohmann::json& object) {
      told_.push_back(object["metadata"]["name"]);
    };
    events_.gone = [](const nlohmann::json&) {};
    events_.list_ended = [this] { ++lists_ended_; };
    events_.standing = [] {};
    events_.fallen = [this](const std::string& reason) { reasons_.push_back(reason); };
  }
  /// `list` and `watch` say what is answered.
  void start(Answer list, Answer watch) {
    server_ = std::make_unique<http::HttpsServer>(
        net::HostPort{"127.0.0.1", 0}, 1, http::ServerLimits{}, tls_,
        [this, list = std::move(list), watch = std::move(watch)](const http::HttpRequest& request) {
          const bool watching = request.target.find("watch=1") != request.target.npos;
          ++(watching ? watches_ : lists_);
          return http::HttpAnswer{
              200, "application/json", {}, (watching ? watch : list)(request.target)};
        });
    Client client(context_.get_executor(),
                  {{"127.0.0.1", server_->start().value()},
                   folder_.write("ca.crt", ca_.certificate),
                   folder_.write("token", "me"),
                   "ns"},
                  limits_);
    reflector_ = std::make_unique<Reflector>(std::move(client), config_, events_);
    tasks_.spawn("reflector", reflector_->run());
  }
  [[nodiscard]] bool comes_to(const std::function<bool()>& state) {
    for (int i = 0; i < 10'000 && !state(); ++i) context_.run_one_for(std::chrono::seconds(1));
    return state();
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  testing_support::KeyPair leaf_ = testing_support::make_leaf(ca_, {"IP:127.0.0.1"});
  testing_support::TemporaryFolder folder_;
  http::TlsStore tls_;
  ReflectorConfig config_;
  Limits limits_;
  ReflectorEvents events_;
  std::atomic<int> lists_{0}, watches_{0};
  std::vector<std::string> told_, reasons_;
  int lists_ended_ = 0;
  asio::io_context context_{1};
  async::TaskGroup tasks_{context_.get_executor(), nullptr};
  std::unique_ptr<Reflector> reflector_;
  std::unique_ptr<http::HttpsServer> server_;

 private:
  void SetUp() override { ASSERT_TRUE(tls_.replace({leaf_.certificate, leaf_.key})); }
};

TEST_F(ReflectorTest, WatchesThatEndAfterOneEventAreOpenedLessAndLessOften) {
  start([](std::string_view) { return kList; }, [](std::string_view) { return kEvent; });
  context_.run_for(milliseconds(400));
  // Waits of at least 2.5, 5, 10, ... ms: the eighth alone would be 320 ms.
  EXPECT_LE(watches_, 8);
  EXPECT_EQ(lists_, 1);
  EXPECT_TRUE(comes_to([&] { return reasons_.size() >= 2; }));
  EXPECT_THAT(reasons_, Each(HasSubstr("watch /things: ended after")));
}

TEST_F(ReflectorTest, APageThatLeadsToItselfIsNotFollowed) {
  start(
      [](std::string_view) {
        return R"({"metadata":{"resourceVersion":"7","continue":"x"},"items":[]})";
      },
      [](std::string_view) { return kEvent; });
  context_.run_for(milliseconds(400));
  EXPECT_LE(lists_, 2 * 8);
  EXPECT_EQ(watches_, 0);
  EXPECT_EQ(lists_ended_, 0);
  EXPECT_TRUE(comes_to([&] { return reasons_.size() >= 2; }));
  EXPECT_THAT(reasons_, Each(HasSubstr("leads to itself")));
}

TEST_F(ReflectorTest, AListWithoutEndIsGivenUp) {
  config_.most_pages = 10;
  start(
      [page = 0](std::string_view) mutable {
        return R"({"metadata":{"resourceVersion":"7","continue":"x)" + std::to_string(++page) +
               R"("},"items":[]})";
      },
      [](std::string_view) { return kEvent; });
  EXPECT_TRUE(comes_to([&] { return reasons_.size() >= 2; }));
  EXPECT_THAT(reasons_, Each(HasSubstr("more than 10 pages")));
  EXPECT_EQ(lists_ended_, 0);
}

TEST_F(ReflectorTest, AfterAnAnswerThatIsTooLongThePagesAreSmaller) {
  limits_.body_bytes = 1'000;
  std::mutex mutex;
  std::vector<std::string> asked;
  start(
      [&](std::string_view path) {
        const std::lock_guard lock(mutex);
        asked.emplace_back(path);
        return path == "/things?limit=6" ? kList : std::string(1'001, ' ');
      },
      [](std::string_view) { return kEvent; });
  EXPECT_TRUE(comes_to([&] { return lists_ended_ == 1; }));
  const std::lock_guard lock(mutex);
  EXPECT_THAT(asked, ElementsAre("/things?limit=100", "/things?limit=25", "/things?limit=6"));
}

TEST_F(ReflectorTest, AfterAnotherFailureThePagesAreAsLarge) {
  std::atomic<int> smaller = 0;
  start(
      [&](std::string_view path) {
        if (path != "/things?limit=100") ++smaller;
        return R"({"items":"none"})";
      },
      [](std::string_view) { return kEvent; });
  EXPECT_TRUE(comes_to([&] { return reasons_.size() >= 3; }));
  EXPECT_EQ(smaller, 0);
}

TEST_F(ReflectorTest, WhatAConsumerThrowsIsAFailureAndEverythingIsToldAnew) {
  int thrown = 0;
  events_.present = [&, tell = events_.present](const nlohmann::json& object) {
    if (++thrown <= 2) throw std::runtime_error("no room");
    tell(object);
  };
  start([](std::string_view) { return kList; }, [](std::string_view) { return kEvent; });
  ASSERT_TRUE(comes_to([&] { return lists_ended_ == 1; }));
  // The watch goes on meanwhile: what it tells comes behind.
  ASSERT_GE(reasons_.size(), 2U);
  reasons_.resize(2);
  EXPECT_THAT(reasons_, testing::ElementsAre("no room", "no room"));
  ASSERT_FALSE(told_.empty());
  EXPECT_EQ(told_.front(), "a");
}

TEST_F(ReflectorTest, AnEventThatCouldNotBeTakenIsToldAgain) {
  bool threw = false;
  events_.present = [&, tell = events_.present](const nlohmann::json& object) {
    if (object["metadata"]["name"] == "b" && !std::exchange(threw, true)) {
      throw std::runtime_error("no room");
    }
    tell(object);
  };
  start([](std::string_view) { return kList; }, [](std::string_view) { return kEvent; });
  EXPECT_TRUE(comes_to([&] { return told_.size() == 2; }));
  EXPECT_TRUE(threw);
  EXPECT_THAT(reasons_.front(), HasSubstr("no room"));
  EXPECT_THAT(told_, testing::ElementsAre("a", "b"));
}

TEST_F(ReflectorTest, AWatchThatStandsForAWhileIsOpenedAgainAtOnceAndHasNotFailed) {
  start([](std::string_view) { return kList; },
        [](std::string_view) {
          std::this_thread::sleep_for(milliseconds(60));
          return std::string(kEvent);
        });
  EXPECT_TRUE(comes_to([&] { return watches_ >= 4; }));
  EXPECT_THAT(reasons_, IsEmpty());
}

TEST_F(ReflectorTest, CancelledItEnds) {
  start([](std::string_view) { return kList; },
        [](std::string_view) {
          std::this_thread::sleep_for(milliseconds(60));
          return std::string(kEvent);
        });
  EXPECT_TRUE(comes_to([&] { return watches_ >= 1; }));
  tasks_.cancel();
  context_.restart();
  context_.run();
  EXPECT_EQ(tasks_.running(), 0u);
}

}  // namespace
}  // namespace sidetap::kube
