// The settings that the registry's client takes, and the reports that it sends.
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/client_fixture.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kEmptySnapshot = R"({"type":"snapshot","version":1,"taps":[]})";

Settings one_sensor(std::uint64_t generation, const std::string& sensor) {
  return {.generation = generation, .profile = "edge", .values = {{"SENSOR", sensor}}};
}

ClientConfig obedient(ClientConfig config) {
  config.control = {"sensors", "filter"};
  config.profile = "edge";
  return config;
}

TEST_F(RegistryClient, SaysWhatTheRegistryMayChangeAndWhichProfileItWants) {
  ASSERT_TRUE(start(obedient(config())));
  EXPECT_EQ(registry_.receive(), encode(Hello{.state = {Addresses{ip("10.1.2.3")}, false},
                                              .rules = kRules,
                                              .control = {"sensors", "filter"},
                                              .profile = "edge"}));
}

TEST_F(RegistryClient, FollowsNewerSettingsAndIgnoresOlderOnes) {
  ASSERT_TRUE(start(obedient(config())));
  registry_.receive();
  registry_.send(kEmptySnapshot);
  registry_.send(encode(one_sensor(7, "192.0.2.1")));
  registry_.send(encode(one_sensor(6, "192.0.2.9")));
  registry_.send(encode(one_sensor(8, "192.0.2.2")));
  EXPECT_TRUE(wait([this] { return settings_.size() == 2; }));
  EXPECT_THAT(settings(), ElementsAre(one_sensor(7, "192.0.2.1"), one_sensor(8, "192.0.2.2")));
}

TEST_F(RegistryClient, KeepsItsSettingsWhenTheConnectionEnds) {
  ASSERT_TRUE(start(obedient(config())));
  registry_.receive();
  registry_.send(encode(one_sensor(7, "192.0.2.1")));
  EXPECT_TRUE(wait([this] { return !settings_.empty(); }));
  registry_.cut();
  registry_.receive();  // hello
  registry_.send(encode(one_sensor(7, "192.0.2.1")));
  registry_.send(encode(one_sensor(8, "192.0.2.1")));
  EXPECT_TRUE(wait([this] { return settings_.size() > 1; }));
  EXPECT_THAT(settings(), ElementsAre(one_sensor(7, "192.0.2.1"), one_sensor(8, "192.0.2.1")));
}

TEST_F(RegistryClient, TakesNoOrdersUnlessItsOperatorAllowsIt) {
  ASSERT_TRUE(start(config()));
  EXPECT_EQ(registry_.receive(), hello(false));
  registry_.send(encode(one_sensor(7, "192.0.2.1")));
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "what comes later has come";
  EXPECT_THAT(settings(), IsEmpty());
}

TEST_F(RegistryClient, ReportsToWhoIsConnectedAndToWhoComesLater) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(kEmptySnapshot);
  EXPECT_TRUE(wait_for_metric("sidetap_registry_replicas 1"));
  Report report;
  report.release = "1.2.3";
  report.generation = 7;
  on_thread([this, report] { client_->report(report); });
  EXPECT_EQ(registry_.receive(), encode(report));
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(50)));
  registry_.cut();
  EXPECT_EQ(registry_.receive(), hello(false));
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(50))) << "it has not been accepted";
  registry_.send(kEmptySnapshot);
  EXPECT_EQ(registry_.receive(), encode(report));
}

}  // namespace
}  // namespace sidetap::registry
