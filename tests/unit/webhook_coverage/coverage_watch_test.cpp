// Following pods and namespaces of an API server over its real wire, and what is known when it
// refuses or fails.
#include "webhook/coverage/coverage_watch.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/certificates.h"
#include "tests/unit/webhook_coverage/stored_objects.h"
#include "tests/unit/webhook_registry/fake_cluster.h"

namespace sidetap::webhook::coverage {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kNamespacesPath = "/api/v1/namespaces";
constexpr const char* kPodsPath = "/api/v1/pods";

class CoverageWatchTest : public testing::Test {
 protected:
  CoverageWatchTest() {
    cluster_.put(kNamespacesPath, "shop", stored_namespace("shop", "enabled"));
    cluster_.put(kNamespacesPath, "other", stored_namespace("other", ""));
    cluster_.put(kPodsPath, "a", stored_pod("a"));
    cluster_.put(kPodsPath, "b", tapped_pod("b"));
    cluster_.put(kPodsPath, "c", stored_pod("c", "other"));
  }
  void start(milliseconds grace = std::chrono::seconds(60)) {
    CoverageConfig config{.credentials = kube::Credentials{{"127.0.0.1", cluster_.port()},
                                                           folder_.write("ca.crt", ca_.certificate),
                                                           folder_.write("token", "me"),
                                                           "ns"}};
    config.judge = [this](std::string_view review) {
      ++judged_;
      auto answer = judge(review);
      if (declining_) answer.action = admission::Action::kSkip;
      return answer;
    };
    config.generation = [this] { return generation_.load(); };
    config.grace = grace;
    config.first_wait = milliseconds(5);
    config.pace = milliseconds(10);
    watch_ = std::make_unique<CoverageWatch>(std::move(config), metrics_);
    watch_->start();
  }
  std::shared_ptr<const Summary> latest() const { return watch_->store()->latest(); }
  [[nodiscard]] static bool comes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 1'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  [[nodiscard]] bool shows(std::size_t tapped, std::size_t untapped) const {
    return comes_true([&] {
      const auto summary = latest();
      return summary && summary->tapped == tapped && summary->untapped == untapped;
    });
  }

  testing_support::KeyPair ca_ = testing_support::make_ca("CA");
  registry::FakeCluster cluster_{testing_support::make_leaf(ca_, {"IP:127.0.0.1"})};
  testing_support::TemporaryFolder folder_;
  telemetry::MetricsRegistry metrics_;
  std::atomic<int> judged_{0};
  std::atomic<bool> declining_{false};
  std::atomic<std::uint64_t> generation_{1};
  std::unique_ptr<CoverageWatch> watch_;
};

TEST_F(CoverageWatchTest, PodsOfSelectedNamespacesAreFollowed) {
  start();
  ASSERT_TRUE(shows(1, 1));
  EXPECT_EQ(latest()->listed[0].pod, "a");
  EXPECT_EQ(latest()->listed[0].owner, "Deployment/web");
  EXPECT_EQ(latest()->listed[0].cause, Cause::kMissed);
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_coverage_pods{state=\"tapped\"} 1"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_coverage_pods{state=\"missed\"} 1"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_coverage_pods{state=\"declined\"} 0"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_coverage_current 1"));
  cluster_.put(kPodsPath, "d", stored_pod("d"));
  EXPECT_TRUE(shows(1, 2));
  cluster_.remove(kPodsPath, "a");
  cluster_.remove(kPodsPath, "d");
  EXPECT_TRUE(shows(1, 0));
  EXPECT_GE(judged_, 2);
}

TEST_F(CoverageWatchTest, ANamespaceThatIsLabelledLaterBringsItsPods) {
  start();
  ASSERT_TRUE(shows(1, 1));
  auto labelled = stored_namespace("other", "enabled");
  labelled["metadata"]["managedFields"] =
      nlohmann::json::array({label_written("2026-02-02T00:00:00Z")});
  cluster_.put(kNamespacesPath, "other", labelled);
  ASSERT_TRUE(shows(1, 2));
  EXPECT_EQ(latest()->listed[0].name_space, "other");
  EXPECT_EQ(latest()->listed[0].cause, Cause::kOlder);
  cluster_.remove(kNamespacesPath, "other");
  EXPECT_TRUE(shows(1, 1));
}

TEST_F(CoverageWatchTest, ANewConfigurationJudgesAllPodsAnew) {
  start();
  ASSERT_TRUE(shows(1, 1));
  declining_ = true;
  generation_ = 2;
  EXPECT_TRUE(comes_true([&] {
    const auto summary = latest();
    return summary && summary->by_cause.at(static_cast<std::size_t>(Cause::kDeclined)) == 1;
  }));
  EXPECT_THAT(metrics_.text(), Not(HasSubstr(R"(watch_failures_total{resource="pods"})")))
      << "the watch that ends for the new list has not failed";
}

TEST_F(CoverageWatchTest, WithoutTheRightNothingIsKnownUntilItIsGranted) {
  cluster_.refuse(kPodsPath);
  start();
  EXPECT_TRUE(comes_true([&] {
    return metrics_.text().find(R"(watch_failures_total{resource="pods"})") != std::string::npos;
  }));
  EXPECT_EQ(latest(), nullptr);
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_coverage_current 0"));
  cluster_.refuse(false);
  EXPECT_TRUE(shows(1, 1));
}

TEST_F(CoverageWatchTest, WhatIsTooOldIsNotKnownAnyMore) {
  start(milliseconds(100));
  ASSERT_TRUE(shows(1, 1));
  const auto port = cluster_.port();
  cluster_.stop();
  EXPECT_TRUE(comes_true([&] { return latest() == nullptr; }));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_coverage_current 0"));
  cluster_.start(port);
  EXPECT_TRUE(shows(1, 1));
}

TEST_F(CoverageWatchTest, ItEndsAtOnceWhateverItDoes) {
  start();
  watch_->stop();
  watch_.reset();
  cluster_.stop();
  start();
}

}  // namespace
}  // namespace sidetap::webhook::coverage
