// A tap that takes orders from its registry, with paths that only note what they are told.
#include "sidecar/tap/live_control.h"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/telemetry/metrics.h"
#include "tests/unit/sidecar_options/started_tap.h"

namespace sidetap {
namespace {

using test::StartedTap;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Variables = std::initializer_list<std::pair<const std::string, std::string>>;

/// What the paths are told, one line each.
class Obedient {
 public:
  explicit Obedient(Variables variables) : started_(variables) {}

  void order(std::uint64_t generation, decltype(registry::Settings::values) values,
             std::string profile = "edge") {
    control_.apply({generation, std::move(profile), std::move(values)});
  }
  const ControlState& state() const { return control_.state(); }
  std::string metrics() const { return metrics_.text(); }
  /// Since the last call.
  std::vector<std::string> told() { return std::exchange(told_, {}); }
  void set_works(bool works) { works_ = works; }

 private:
  StartedTap started_;
  telemetry::MetricsRegistry metrics_;
  std::vector<std::string> told_;
  bool works_ = true;
  LiveControl control_{started_.options(), started_.line(),
                       LiveActions{.follow = [this](const RunOptions& options) -> Result<void> {
                         std::string line = "follow";
                         for (const session::Sensor& sensor : options.sessions.sensors)
                           line += " " + sensor.address.to_string();
                         const Narrowing& narrowing = options.narrowing;
                         if (!narrowing.filter.empty()) line += ", narrow to " + narrowing.filter;
                         if (narrowing.paused) line += ", paused";
                         told_.push_back(line);
                         if (!works_) return Error{"the certificate cannot be read"};
                         return {};
                       }},
                       metrics_};
};

TEST(LiveControl, BeginsWithTheEnvironment) {
  Obedient tap({});
  EXPECT_EQ(tap.state(), ControlState());
  EXPECT_THAT(tap.metrics(), HasSubstr("sidetap_control_refused_total 0"));
}

TEST(LiveControl, TellsThePathsWhatChangesAndNothingElse) {
  Obedient tap({});
  tap.order(7, {{"SENSOR", "192.0.2.2"}});
  EXPECT_THAT(tap.told(), ElementsAre("follow 192.0.2.2:2003"));
  EXPECT_EQ(tap.state(), (ControlState{.profile = "edge", .generation = 7, .following = true}));
  tap.order(8, {{"SENSOR", "192.0.2.2"}, {"FILTER", "not port 9100"}, {"PAUSED", "on"}});
  EXPECT_THAT(tap.told(), ElementsAre("follow 192.0.2.2:2003, narrow to not port 9100, paused"));
  tap.order(9, {{"SENSOR", "192.0.2.2"}, {"FILTER", "not port 9100"}, {"PAUSED", "on"}}, "");
  EXPECT_THAT(tap.told(), IsEmpty());
  EXPECT_EQ(tap.state(), (ControlState{.profile = "", .generation = 9, .following = true}));
  tap.order(10, {{"SENSOR", "192.0.2.1"}, {"FILTER", ""}, {"PAUSED", "off"}});
  EXPECT_THAT(tap.told(), ElementsAre("follow 192.0.2.1:2003"));
}

TEST(LiveControl, TheSettingsOfTheStartChangeNothing) {
  Obedient tap({{"FILTER", "port 80"}});
  tap.order(1, {{"SENSOR", "192.0.2.1:2003"}, {"FILTER", "port 80"}, {"SNAPLEN", ""}});
  EXPECT_THAT(tap.told(), IsEmpty());
  EXPECT_EQ(tap.state().generation, 1U);
}

TEST(LiveControl, WhatCannotBeAppliedLeavesEverythingAsItWas) {
  Obedient tap({});
  tap.order(7, {{"SENSOR", "192.0.2.2"}});
  (void)tap.told();
  tap.order(8, {{"SENSOR", "192.0.2.3"}, {"SENSOR_MODE", "newest"}});
  EXPECT_THAT(tap.told(), IsEmpty());
  EXPECT_EQ(tap.state(), (ControlState{.profile = "edge", .generation = 7, .following = false}));
  EXPECT_THAT(tap.metrics(), HasSubstr("sidetap_control_refused_total 1"));
  tap.order(9, {{"SENSOR", "192.0.2.3"}});
  EXPECT_THAT(tap.told(), ElementsAre("follow 192.0.2.3:2003"));
  EXPECT_EQ(tap.state(), (ControlState{.profile = "edge", .generation = 9, .following = true}));
}

TEST(LiveControl, WhatAPathCannotFollowIsTriedAgainWhenItIsToldAgain) {
  Obedient tap({});
  tap.set_works(false);
  tap.order(7, {{"SENSOR", "192.0.2.2"}});
  EXPECT_EQ(tap.state(), (ControlState{.profile = "", .generation = 0, .following = false}));
  tap.set_works(true);
  (void)tap.told();
  tap.order(7, {{"SENSOR", "192.0.2.2"}});
  EXPECT_THAT(tap.told(), ElementsAre("follow 192.0.2.2:2003"));
  EXPECT_TRUE(tap.state().following);
}

TEST(LiveControl, ARefusalIsLoggedOnce) {
  Obedient tap({});
  testing::internal::CaptureStdout();
  tap.order(7, {{"SENSOR_MODE", "newest"}});
  tap.order(8, {{"SENSOR_MODE", "newest"}});
  const std::string log = testing::internal::GetCapturedStdout();
  const auto first = log.find("cannot be applied");
  ASSERT_NE(first, log.npos) << log;
  EXPECT_EQ(log.find("cannot be applied", first + 1), log.npos) << log;
  EXPECT_THAT(log, HasSubstr("newest"));
  EXPECT_THAT(tap.metrics(), HasSubstr("sidetap_control_refused_total 2"));
}

TEST(LiveControl, FilesCannotBeEnteredOrLeft) {
  Obedient network({});
  network.order(7, {{"OUTPUT", "pcap"}});
  EXPECT_FALSE(network.state().following);
  EXPECT_THAT(network.told(), IsEmpty());
  Obedient files({{"OUTPUT", "pcap"}, {"PCAP_DIR", "/tmp"}});
  files.order(7, {{"OUTPUT", "rpcap"}, {"FILTER", "port 80"}});
  EXPECT_FALSE(files.state().following);
  EXPECT_THAT(files.told(), IsEmpty());
  files.order(8, {{"OUTPUT", "pcap"}, {"FILTER", "port 80"}});
  EXPECT_TRUE(files.state().following);
  EXPECT_THAT(files.told(), ElementsAre("follow 192.0.2.1:2003, narrow to port 80"));
}

TEST(LiveControl, TakesNoOrdersForWhatItsOperatorKeeps) {
  Obedient tap({{"REGISTRY_CONTROL", "pause"}});
  tap.order(7, {{"SENSOR", "192.0.2.2"}, {"FILTER", "port 80"}, {"PAUSED", "on"}});
  EXPECT_THAT(tap.told(), ElementsAre("follow 192.0.2.1:2003, paused"));
}

}  // namespace
}  // namespace sidetap
