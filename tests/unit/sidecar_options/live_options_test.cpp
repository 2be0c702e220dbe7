// A running tap's options when the registry gives it other settings.
#include "sidecar/options/live_options.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/tap/settings.h"
#include "tests/unit/sidecar_options/started_tap.h"

namespace sidetap {
namespace {

using test::StartedTap;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using Values = std::map<std::string, std::string, std::less<>>;

/// Fails the test if they are refused.
RunOptions ordered(const StartedTap& started, const Values& values) {
  auto options = options_with(started.options(), started.line(), values);
  EXPECT_TRUE(options) << options.error().text;
  return options ? *options : started.options();
}

std::string refusal(const StartedTap& started, const Values& values) {
  const auto options = options_with(started.options(), started.line(), values);
  return options ? "accepted" : options.error().text;
}

std::vector<std::string> sensors_of(const RunOptions& options) {
  std::vector<std::string> texts;
  for (const session::Sensor& sensor : options.sessions.sensors)
    texts.push_back(sensor.address.to_string());
  return texts;
}

const Values kEverything = {{"SENSOR", "192.0.2.2,192.0.2.3:2004"},
                            {"SENSOR_MODE", "balance"},
                            {"FILTER", "not port 9100"},
                            {"FLOW_SAMPLING", "4"},
                            {"SNAPLEN", "128"},
                            {"MAX_RATE", "10M"},
                            {"MAX_PACKET_RATE", "500"},
                            {"PAUSED", "on"}};

TEST(LiveOptions, AreThoseOfATapThatStartsWithTheValues) {
  const StartedTap started({{"POD_NAME", "web-1"}});
  const RunOptions options = ordered(started, kEverything);
  EXPECT_THAT(sensors_of(options), ElementsAre("192.0.2.2:2003", "192.0.2.3:2004"));
  EXPECT_EQ(options.sessions.mode, session::SensorMode::kBalance);
  EXPECT_EQ(options.narrowing.filter, "not port 9100");
  EXPECT_EQ(options.narrowing.flow_sampling, 4U);
  EXPECT_EQ(options.narrowing.snaplen, 128U);
  EXPECT_EQ(options.narrowing.rate_limit,
            (forwarding::RateLimit{.bits_per_second = 10'000'000, .packets_per_second = 500}));
  EXPECT_TRUE(options.narrowing.paused);
  EXPECT_EQ(options.pod_name, "web-1");
  EXPECT_THAT(changed_controls(started.options(), options), ElementsAreArray(tap::kControls));
  EXPECT_THAT(changed_controls(started.options(), ordered(started, {})), IsEmpty());
}

TEST(LiveOptions, AnEmptyValueMeansTheTapsOwnDefault) {
  const StartedTap started(
      {{"FILTER", "port 80"}, {"SNAPLEN", "1000"}, {"SENSOR_MODE", "failover"}});
  const RunOptions options =
      ordered(started, {{"FILTER", ""}, {"SNAPLEN", ""}, {"SENSOR_MODE", ""}});
  EXPECT_EQ(options.narrowing.filter, "");
  EXPECT_EQ(options.narrowing.snaplen, 262'144U);
  EXPECT_EQ(options.sessions.mode, session::SensorMode::kReplicate);
  EXPECT_THAT(refusal(started, {{"SENSOR", ""}}), HasSubstr("--sensor (env SENSOR): required"));
}

TEST(LiveOptions, WhatTheRegistryDoesNotSayIsAsInTheEnvironment) {
  const StartedTap started({{"FILTER", "port 80"}, {"SENSOR_MODE", "failover"}});
  const RunOptions options = ordered(started, {{"SENSOR", "192.0.2.2"}});
  EXPECT_EQ(options.narrowing.filter, "port 80");
  EXPECT_EQ(options.sessions.mode, session::SensorMode::kFailover);
  EXPECT_THAT(changed_controls(started.options(), options), ElementsAre("sensors"));
}

TEST(LiveOptions, TlsMovesWithTheSensors) {
  const StartedTap started({{"SENSOR_TLS_CA", "/dev/null"}});
  const RunOptions options = ordered(started, {{"SENSOR_TLS", "registry"}});
  EXPECT_EQ(options.sessions.tls.role, session::TlsRole::kRegistry);
  EXPECT_EQ(options.sessions.tls.ca_file, "/dev/null") << "files stay those of the start";
  EXPECT_THAT(changed_controls(started.options(), options), ElementsAre("sensors"));
  const StartedTap encrypted({{"SENSOR_TLS", "registry"}});
  EXPECT_EQ(ordered(encrypted, {{"SENSOR_TLS", "off"}}).sessions.tls.role, session::TlsRole::kNone);
  const StartedTap meshed({{"SENSOR_TLS", "registry"}, {"MESH", "both"}});
  EXPECT_THAT(refusal(meshed, {{"SENSOR_TLS", "off"}}), HasSubstr("in the clear"))
      << "a mesh's plaintext is never sent unencrypted by an order";
}

TEST(LiveOptions, OnlyGroupsThatTheOperatorAllowsChange) {
  const StartedTap started({{"REGISTRY_CONTROL", "filter,pause"}});
  EXPECT_THAT(changed_controls(started.options(), ordered(started, kEverything)),
              ElementsAre("filter", "pause"));
  const StartedTap deaf({{"REGISTRY_CONTROL", "off"}});
  EXPECT_THAT(changed_controls(deaf.options(), ordered(deaf, kEverything)), IsEmpty());
}

TEST(LiveOptions, WhatIsFixedAndWhatIsUnknownIsLeftOut) {
  const StartedTap started({});
  const RunOptions options = ordered(
      started, {{"LOG_LEVEL", "debug"}, {"SENSOR_USER", "somebody"}, {"SOMETHING_NEWER", "1"}});
  EXPECT_EQ(options.log_level, telemetry::LogLevel::kInfo);
  EXPECT_EQ(options.sessions.user, "");
}

TEST(LiveOptions, HashIsAModeLikeTheOthers) {
  const StartedTap started({});
  const RunOptions options =
      ordered(started, {{"SENSOR", "collectors.sidetap.svc"}, {"SENSOR_MODE", "hash"}});
  EXPECT_EQ(options.sessions.mode, session::SensorMode::kHash);
  EXPECT_THAT(refusal(started, {{"SENSOR_MODE", "hash"}, {"OUTPUT", "vxlan"}}),
              HasSubstr("--sensor-mode hash"));
}

TEST(LiveOptions, AFlagWins) {
  const StartedTap started({}, {"--snaplen", "96"});
  const RunOptions options = ordered(started, kEverything);
  EXPECT_EQ(options.narrowing.snaplen, 96U);
  EXPECT_EQ(options.narrowing.flow_sampling, 4U);
}

TEST(LiveOptions, WhatIsNotAcceptedIsRefusedWithTheReason) {
  const StartedTap started({{"IPV6_FAMILY", "linux,windows"}, {"SENSOR", "192.0.2.1,192.0.2.2"}});
  EXPECT_THAT(refusal(started, {{"SENSOR_MODE", "newest"}}),
              HasSubstr("environment variable SENSOR_MODE: \"newest\" is not accepted; accepted: "
                        "replicate, failover, balance"));
  EXPECT_THAT(refusal(started, {{"FILTER", "port port"}}), HasSubstr("FILTER"));
  EXPECT_THAT(refusal(started, {{"OUTPUT", "pcap"}}),
              HasSubstr("--output pcap: a running tap cannot"));
  EXPECT_THAT(refusal(started, {{"OUTPUT", "interface"}}),
              HasSubstr("--output interface: a running tap cannot"));
  EXPECT_THAT(refusal(started, {{"OUTPUT", "pcap-over-ip"}}),
              HasSubstr("needs --pcap-listen or --pcap-connect"));
  EXPECT_THAT(refusal(started, {{"SENSOR", "192.0.2.1"}}), HasSubstr("--ipv6-family: 2 names"));
}

TEST(LiveOptions, ReceiversOfVxlanReplaceTheFormerOnes) {
  const StartedTap started({{"OUTPUT", "vxlan"}});
  const RunOptions options = ordered(started, {{"SENSOR", "192.0.2.2"}});
  ASSERT_EQ(options.output.vxlan.receivers.size(), 1U);
  EXPECT_EQ(options.output.vxlan.receivers.front().to_string(), "192.0.2.2:4789");
  EXPECT_EQ(sensors_of(ordered(started, {{"OUTPUT", "rpcap"}})),
            std::vector<std::string>{"192.0.2.1:2003"});
}

TEST(LiveOptions, ThePasswordIsThatOfTheStart) {
  std::string folder = (std::filesystem::temp_directory_path() / "sidetap-live-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/password";
  std::ofstream(file) << "first\n";
  const StartedTap started({{"SENSOR_USER", "tap"}, {"SENSOR_PASSWORD_FILE", file}});
  std::filesystem::remove_all(folder);
  EXPECT_EQ(ordered(started, {{"SENSOR", "192.0.2.2"}}).sessions.password, "first");
}

}  // namespace
}  // namespace sidetap
