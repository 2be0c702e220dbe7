// What the registry tells the taps of each profile.
#include "webhook/profiles/profiles.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "support/review_builder.h"
#include "webhook/configuration/configuration_file.h"

namespace sidetap::webhook::profiles {
namespace {

using configuration::Configuration;
using sidetap::registry::Settings;
using testing::ElementsAre;
using testing::Pair;

constexpr const char* kTwo = R"(
generation: 7
sensor: {address: a, mode: balance}
sidecar: {snaplen: 1000, filter: not port 9100, env: {MAX_RATE: 5M}}
profiles:
  edge:
    namespaces: [shop]
    sensor: {address: b}
    sidecar: {maxRate: 1M, paused: true}
  lab:
    sidecar: {filter: ""}
)";

Configuration configured(const std::string& text = kTwo) {
  auto configuration = configuration::parse_configuration(text, "c.yaml");
  EXPECT_TRUE(configuration) << configuration.error().text;
  return configuration ? *configuration : Configuration();
}

TEST(Profiles, HoldEverySettingThatTheRegistryMayChange) {
  EXPECT_THAT(
      Profiles(configured()).of("other", "")->settings.values,
      ElementsAre(Pair("FILTER", "not port 9100"), Pair("FLOW_SAMPLING", "1"),
                  Pair("MAX_PACKET_RATE", "0"), Pair("MAX_RATE", "5M"), Pair("OUTPUT", "rpcap"),
                  Pair("PAUSED", "off"), Pair("SENSOR", "a:2003"), Pair("SENSOR_MODE", "balance"),
                  Pair("SENSOR_TLS", "off"), Pair("SNAPLEN", "1000")));
}

TEST(Profiles, OverrideTheDefaultAndYieldToTheOperatorsVariables) {
  const Settings edge = Profiles(configured()).of("shop", "")->settings;
  EXPECT_EQ(edge.profile, "edge");
  EXPECT_EQ(edge.generation, 7U);
  EXPECT_EQ(edge.values.at("SENSOR"), "b:2003");
  EXPECT_EQ(edge.values.at("PAUSED"), "on");
  EXPECT_EQ(edge.values.at("SNAPLEN"), "1000");
  EXPECT_EQ(edge.values.at("MAX_RATE"), "5M") << "sidecar.env";
}

TEST(Profiles, SayThatASettingIsTheTapsOwnDefault) {
  EXPECT_EQ(Profiles(configured()).of("other", "lab")->settings.values.at("FILTER"), "");
}

TEST(Profiles, AreEncodedOnce) {
  const Profiles profiles(configured());
  for (const char* name : {"", "edge", "lab"}) {
    const auto& told = profiles.named(name);
    EXPECT_EQ(told->settings.profile, name);
    const auto read = sidetap::registry::decode_registry_message(told->text);
    ASSERT_TRUE(read) << name;
    EXPECT_EQ(std::get<Settings>(*read), told->settings);
  }
  EXPECT_EQ(profiles.of("shop", ""), profiles.of("shop", "edge"));
  EXPECT_EQ(profiles.named("edge"), profiles.of("shop", ""));
  EXPECT_EQ(profiles.named("nobody"), profiles.named(""));
  EXPECT_EQ(profiles.generation(), 7U);
}

TEST(Profiles, AreChosenAsForANewPod) {
  Configuration configuration = configured();
  const Profiles profiles(configuration);
  EXPECT_EQ(profiles.of("shop", "lab")->settings.profile, "lab");
  EXPECT_EQ(profiles.of("shop", "nobody")->settings.profile, "edge");
  EXPECT_EQ(profiles.of("other", "nobody")->settings.profile, "");
  configuration.sidecar.overrides.reset();
  EXPECT_EQ(Profiles(configuration).of("shop", "lab")->settings.profile, "edge");
}

/// The environment of a new container holds the same, except for the tap's own defaults.
TEST(Profiles, SayWhatANewContainerIsTold) {
  Configuration configuration = configured();
  configuration.injection.server_version = configuration::Version{1, 36};
  const Profiles profiles(configuration);
  for (const char* asked : {"", "edge", "lab"}) {
    auto before = test::pod();
    if (*asked != '\0') before.annotation("sidetap.io/profile", asked);
    const auto answer =
        test::admit_pod(before.in("other"), admission::Entry::kNamespace, configuration);
    const auto pod = before.json().patch(test::Json::parse(answer.patch));
    auto expected = profiles.of("other", asked)->settings.values;
    for (const tap::Setting& setting : tap::kSettings)
      if (!setting.implied.empty() && expected[std::string(setting.option.env)] == setting.implied)
        expected.erase(std::string(setting.option.env));
    std::erase_if(expected, [](const auto& one) { return one.second.empty(); });
    decltype(expected) found;
    for (const auto& one : pod["spec"]["initContainers"][0]["env"])
      for (const tap::Setting& setting : tap::kSettings)
        if (!setting.control.empty() && one["name"] == std::string(setting.option.env))
          found[one["name"].get<std::string>()] = one["value"].get<std::string>();
    EXPECT_EQ(found, expected) << asked;
  }
}

}  // namespace
}  // namespace sidetap::webhook::profiles
