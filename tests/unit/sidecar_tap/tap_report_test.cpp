// What a tap reports, and when.
#include "sidecar/tap/tap_report.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/async/task_group.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/mesh/mesh_kind.h"
#include "sidecar/ownership/rules.h"

namespace sidetap {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::Pair;

constexpr ReportPace kOnlyChanges{
    .interval = std::chrono::hours(1), .least = milliseconds(30), .patience = milliseconds(30)};

class TapReports : public testing::Test {
 protected:
  void TearDown() override {
    if (report_) async::run_to_end(context_, report_->stop());
  }

  ReportedPath path(std::string name) {
    ReportedPath path;
    path.interface = [this, name] { return registry::InterfaceReport{name, capturing_}; };
    path.sensors = [this] { return std::vector{sensor_}; };
    path.counts = [this](std::function<void(LoopCounts)> told) {
      ++asked_;
      if (hangs_) {
        unanswered_ = std::move(told);
      } else {
        told(counts_);
      }
    };
    path.ledger = &ledger_;
    return path;
  }
  void start(std::vector<ReportedPath> paths, ReportPace pace) {
    report_ =
        std::make_unique<TapReport>(context_.get_executor(), std::move(paths),
                                    ReportCallbacks{.state = [this] { return state_; },
                                                    .send =
                                                        [this](const registry::Report& report) {
                                                          sent_.push_back(report);
                                                          times_.push_back(steady_clock::now());
                                                        }},
                                    metrics_, pace);
    report_->start();
  }
  void run_for(milliseconds time) {
    context_.restart();
    context_.run_for(time);
  }
  [[nodiscard]] bool wait_for_reports(std::size_t number) {
    for (int i = 0; i < 1'000 && sent_.size() < number; ++i) run_for(milliseconds(10));
    return sent_.size() >= number;
  }

  boost::asio::io_context context_{1};
  telemetry::MetricsRegistry metrics_;
  Ledger ledger_;
  LoopCounts counts_;
  bool capturing_ = true;
  registry::SensorReport sensor_{"192.0.2.1:2003", "dialling", "connection refused"};
  ControlState state_{.profile = "edge", .generation = 7, .following = true};
  bool hangs_ = false;
  unsigned asked_ = 0;
  std::function<void(LoopCounts)> unanswered_;
  std::vector<registry::Report> sent_;
  std::vector<steady_clock::time_point> times_;
  std::unique_ptr<TapReport> report_;
};

TEST_F(TapReports, SumTheInterfacesAndNameTheCausesAsTheMetricsDo) {
  counts_.source.accepted = 100;
  counts_.source.dropped = 1;
  counts_.forwarded = 50;
  counts_.bytes = 6'000;
  counts_.filtered = 3;
  counts_.sampled = 4;
  counts_.dropped[0] = 5;
  ledger_.read_bytes.add(10'000);
  ledger_.owned[0].add(70);
  ledger_.owned_bytes.add(7'000);
  ledger_.no_session.add(2);
  ledger_.rate_limited.add(6);
  ledger_.paused.add(8);
  ledger_.sampled_flows.add(9);
  start({path("eth0"), path("net1")}, kOnlyChanges);
  ASSERT_TRUE(wait_for_reports(1));
  const registry::Report& report = sent_.front();
  EXPECT_EQ(report.release, SIDETAP_VERSION);
  EXPECT_EQ(report.profile, "edge");
  EXPECT_EQ(report.generation, 7U);
  EXPECT_TRUE(report.following);
  EXPECT_THAT(report.interfaces, ElementsAre(registry::InterfaceReport{"eth0", true},
                                             registry::InterfaceReport{"net1", true}));
  EXPECT_THAT(report.sensors, ElementsAre(sensor_, sensor_));
  EXPECT_EQ(report.counts, (registry::ReportedCounts{.seen = 200,
                                                     .seen_bytes = 20'000,
                                                     .owned = 140,
                                                     .owned_bytes = 14'000,
                                                     .forwarded = 100,
                                                     .forwarded_bytes = 12'000,
                                                     .filtered = 48}));
  EXPECT_THAT(report.lost,
              ElementsAre(Pair("disconnected", 0U), Pair("kernel-ring", 2U), Pair("no-session", 4U),
                          Pair("rate-limit", 12U), Pair("send-error", 0U), Pair("socket-full", 10U),
                          Pair("too-large", 0U)));
}

TEST_F(TapReports, SayWhichMeshIsThereAndWhatCameOfIt) {
  const auto index_of = [](ownership::Rule rule) { return static_cast<std::size_t>(rule); };
  counts_.source.accepted = 20;
  counts_.mesh = mesh::Kind::kLinkerd;
  counts_.loopback = 12;
  ledger_.owned[index_of(ownership::Rule::kMeshLeg)].add(9);
  ledger_.not_owned[index_of(ownership::Rule::kMeshCovered)].add(5);
  start({path("eth0")}, kOnlyChanges);
  ASSERT_TRUE(wait_for_reports(1));
  EXPECT_EQ(sent_.front().mesh,
            (registry::MeshReport{.kind = "linkerd", .read = 12, .legs = 9, .covered = 5}));
}

TEST_F(TapReports, SayNothingOfAMeshThatIsNotWanted) {
  start({path("eth0")}, kOnlyChanges);
  ASSERT_TRUE(wait_for_reports(1));
  EXPECT_EQ(sent_.front().mesh, std::nullopt);
}

TEST_F(TapReports, ComeAtEachInterval) {
  start({path("eth0")}, {.interval = milliseconds(40), .least = milliseconds(5)});
  ASSERT_TRUE(wait_for_reports(1));
  counts_.forwarded = 9;
  ASSERT_TRUE(wait_for_reports(3));
  EXPECT_GE(times_[1] - times_[0], milliseconds(40));
  EXPECT_EQ(sent_[0].counts.forwarded, 0U);
  EXPECT_EQ(sent_[2].counts.forwarded, 9U);
}

TEST_F(TapReports, ComeSoonWhenAnythingButACountChanges) {
  start({path("eth0")}, kOnlyChanges);
  ASSERT_TRUE(wait_for_reports(1));
  const std::vector<std::function<void()>> changes = {
      [this] { sensor_.state = "capturing"; }, [this] { sensor_.reason = ""; },
      [this] { capturing_ = false; },          [this] { state_.generation = 8; },
      [this] { state_.following = false; },    [this] { state_.profile = ""; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    changes[i]();
    report_->changed();
    ASSERT_TRUE(wait_for_reports(i + 2)) << i;
    EXPECT_GE(times_[i + 1] - times_[i], kOnlyChanges.least) << "but not too often";
  }
  counts_.forwarded = 9;
  ledger_.no_session.add(9);
  report_->changed();
  run_for(milliseconds(100));
  EXPECT_EQ(sent_.size(), changes.size() + 1) << "a count has changed";
}

TEST_F(TapReports, GoOnWithTheLastCountsWhileACaptureThreadHangs) {
  counts_.forwarded = 9;
  start({path("eth0")},
        {.interval = milliseconds(20), .least = milliseconds(5), .patience = milliseconds(20)});
  ASSERT_TRUE(wait_for_reports(1));
  hangs_ = true;
  const unsigned before = asked_;
  ASSERT_TRUE(wait_for_reports(5));
  EXPECT_EQ(sent_.back().counts.forwarded, 9U);
  EXPECT_LE(asked_, before + 1) << "one question is enough";
  hangs_ = false;
  counts_.forwarded = 10;
  ASSERT_TRUE(unanswered_);
  std::exchange(unanswered_, nullptr)(counts_);
  ASSERT_TRUE(wait_for_reports(sent_.size() + 2));
  EXPECT_EQ(sent_.back().counts.forwarded, 10U);
  EXPECT_GT(asked_, before + 1) << "it is asked again";
}

TEST_F(TapReports, EndAtOnce) {
  hangs_ = true;
  start({path("eth0")}, {.interval = std::chrono::hours(1),
                         .least = milliseconds(30),
                         .patience = std::chrono::hours(1)});
  run_for(milliseconds(20));
  async::run_to_end(context_, report_->stop());
  EXPECT_TRUE(sent_.empty());
  report_.reset();
}

}  // namespace
}  // namespace sidetap
