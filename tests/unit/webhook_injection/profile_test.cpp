// The profile of a pod, and what the registry may change in its tap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/webhook_injection/injected.h"

namespace sidetap {
namespace {

using admission::Action;
using admission::Entry;
using admission::Reason;
using configuration::Configuration;
using configuration::Override;
using test::admit_pod;
using test::Json;
using test::pod;
using test::PodBuilder;
using test::test_configuration;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// With a registry, the profile "edge" for the namespace "shop", and the profile "lab".
Configuration profiled() {
  Configuration configuration = test_configuration();
  configuration.registry.address = "registry.example.com:8444";
  configuration.registry.ca = "-----BEGIN CERTIFICATE-----\n";
  configuration.profiles["edge"] = {
      .namespaces = {"shop"},
      .values = {{&tap::kSensor, "b:2003"}, {&tap::kFilter, "port 80"}, {&tap::kPaused, "on"}}};
  configuration.profiles["lab"] = {.values = {{&tap::kSensor, "c:4789"}, {&tap::kOutput, "vxlan"}}};
  return configuration;
}

std::string told(const PodBuilder& before, const std::string& name,
                 const Configuration& configuration = profiled()) {
  const admission::Answer answer = admit_pod(before, Entry::kNamespace, configuration);
  const Json after = before.json().patch(Json::parse(answer.patch));
  const Json tap = test::sidecar(after);
  for (const Json& one : tap["env"])
    if (one["name"] == name && one.contains("value")) return one["value"];
  return "(not set)";
}

std::vector<std::string> warned(const PodBuilder& before,
                                const Configuration& configuration = profiled()) {
  return admit_pod(before, Entry::kNamespace, configuration).warnings;
}

TEST(Profile, IsThatOfTheNamespace) {
  EXPECT_EQ(told(pod(), "SENSOR"), "b:2003");
  EXPECT_EQ(told(pod(), "FILTER"), "port 80");
  EXPECT_EQ(told(pod(), "PAUSED"), "on");
  EXPECT_EQ(told(pod(), "SNAPLEN"), "262144") << "as for all";
  EXPECT_EQ(told(pod(), "PROFILE"), "(not set)") << "the registry knows the namespace's";
  EXPECT_EQ(told(pod().in("other"), "SENSOR"), "10.10.10.10:2003");
  EXPECT_EQ(told(pod().in("other"), "FILTER"), "(not set)");
}

TEST(Profile, IsTheOneThatAnAnnotationNames) {
  const auto lab = pod().annotation("sidetap.io/profile", "lab");
  EXPECT_EQ(told(lab, "SENSOR"), "c:4789");
  EXPECT_EQ(told(lab, "OUTPUT"), "vxlan");
  EXPECT_EQ(told(lab, "FILTER"), "(not set)") << "nothing of the namespace's";
  EXPECT_EQ(told(lab, "PROFILE"), "lab");
  EXPECT_EQ(told(lab, "REGISTRY_CONTROL"), "(not set)");
  EXPECT_THAT(warned(lab), IsEmpty());
}

TEST(Profile, ThatNobodyKnowsWarnsAndIsThatOfTheNamespace) {
  const auto unknown = pod().annotation("sidetap.io/profile", "nobody");
  EXPECT_THAT(warned(unknown), ElementsAre(AllOf(HasSubstr("sidetap.io/profile \"nobody\""),
                                                 HasSubstr("accepted: edge, lab"))));
  EXPECT_EQ(told(unknown, "SENSOR"), "b:2003");
  EXPECT_EQ(told(unknown, "PROFILE"), "(not set)");
  EXPECT_THAT(warned(unknown, test_configuration()),
              ElementsAre(HasSubstr("no profile is configured")));
}

TEST(Profile, ThatPodsMayNotChooseIsThatOfTheNamespace) {
  Configuration configuration = profiled();
  configuration.sidecar.overrides.reset(static_cast<std::size_t>(Override::kProfile));
  const auto lab = pod().annotation("sidetap.io/profile", "lab");
  EXPECT_THAT(warned(lab, configuration), ElementsAre(HasSubstr("does not allow")));
  EXPECT_EQ(told(lab, "SENSOR", configuration), "b:2003");
  EXPECT_EQ(told(lab, "PROFILE", configuration), "(not set)");
}

TEST(Profile, YieldsToThePodsOwnAnnotations) {
  const auto own = pod()
                       .annotation("sidetap.io/profile", "lab")
                       .annotation("sidetap.io/sensor", "d")
                       .annotation("sidetap.io/snaplen", "96");
  EXPECT_EQ(told(own, "SENSOR"), "d:4789") << "the port of the profile's output";
  EXPECT_EQ(told(own, "OUTPUT"), "vxlan");
  EXPECT_EQ(told(own, "SNAPLEN"), "96");
  EXPECT_EQ(told(own, "PROFILE"), "lab");
}

TEST(Profile, MayBeWhereTheSensorIsNamed) {
  Configuration configuration = profiled();
  configuration.taps[tap::kSensor] = {};
  EXPECT_EQ(admit_pod(pod(), Entry::kNamespace, configuration).action, Action::kInject);
  const auto elsewhere = pod().in("other");
  EXPECT_EQ(admit_pod(elsewhere, Entry::kNamespace, configuration).reason, Reason::kNoSensor);
  const auto lab = pod().in("other").annotation("sidetap.io/profile", "lab");
  EXPECT_EQ(admit_pod(lab, Entry::kNamespace, configuration).action, Action::kInject);
}

TEST(RegistryControl, IsNotWrittenWhereTheRegistryMayChangeAll) {
  EXPECT_EQ(told(pod(), "REGISTRY_CONTROL"), "(not set)");
}

TEST(RegistryControl, LeavesOutWhatThePodHasSet) {
  EXPECT_EQ(told(pod().annotation("sidetap.io/sensor", "d"), "REGISTRY_CONTROL"),
            "filter,sampling,snaplen,rate,pause");
  EXPECT_EQ(told(pod().annotation("sidetap.io/snaplen", "96"), "REGISTRY_CONTROL"),
            "sensors,filter,sampling,rate,pause");
  EXPECT_EQ(told(pod().annotation("sidetap.io/log-level", "debug"), "REGISTRY_CONTROL"),
            "(not set)")
      << "the registry never changes it";
  EXPECT_EQ(told(pod().annotation("sidetap.io/snaplen", "1"), "REGISTRY_CONTROL"), "(not set)")
      << "it is refused";
}

TEST(RegistryControl, LeavesOutWhatTheOperatorsVariablesSet) {
  Configuration configuration = profiled();
  configuration.sidecar.env["MAX_PACKET_RATE"] = "5";
  configuration.sidecar.env["FLUSH_INTERVAL"] = "20ms";
  EXPECT_EQ(told(pod(), "REGISTRY_CONTROL", configuration),
            "sensors,filter,sampling,snaplen,pause");
  configuration.sidecar.env["EXTRAHOP_SENSOR_IP"] = "192.0.2.1";
  EXPECT_EQ(told(pod(), "REGISTRY_CONTROL", configuration), "filter,sampling,snaplen,pause");
  configuration.sidecar.env["REGISTRY_CONTROL"] = "pause";
  EXPECT_EQ(told(pod(), "REGISTRY_CONTROL", configuration), "pause") << "by hand";
}

TEST(RegistryControl, IsWithinTheOperatorsBounds) {
  Configuration configuration = profiled();
  configuration.sidecar.controls = *tap::parse_controls("filter,snaplen");
  EXPECT_EQ(told(pod(), "REGISTRY_CONTROL", configuration), "filter,snaplen");
  const auto own = pod().annotation("sidetap.io/snaplen", "96");
  EXPECT_EQ(told(own, "REGISTRY_CONTROL", configuration), "filter");
  configuration.sidecar.controls.reset();
  EXPECT_EQ(told(own, "REGISTRY_CONTROL", configuration), "off");
}

TEST(RegistryControl, MeansNothingWithoutARegistry) {
  Configuration configuration = profiled();
  configuration.registry.address.clear();
  configuration.sidecar.controls.reset();
  const auto lab = pod().annotation("sidetap.io/profile", "lab");
  EXPECT_EQ(told(lab, "REGISTRY_CONTROL", configuration), "(not set)");
  EXPECT_EQ(told(lab, "PROFILE", configuration), "(not set)");
  EXPECT_EQ(told(lab, "SENSOR", configuration), "c:4789");
}

}  // namespace
}  // namespace sidetap
