// The Secret with which a tap proves itself to sensors, and they to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/webhook_injection/injected.h"

namespace sidetap {
namespace {

using admission::Entry;
using admission::Reason;
using configuration::Configuration;
using test::Json;
using test::pod;
using test::sidecar;
using test::test_configuration;
using testing::IsEmpty;

constexpr auto kSecretFolder = "/var/run/secrets/sidetap/sensor";

/// With a Secret for all pods, another one for the namespace "shop", and none for "plain".
Configuration with_secrets() {
  Configuration configuration = test_configuration();
  configuration.sensor_secret = "login";
  configuration.profiles["edge"] = {.namespaces = {"shop"}, .sensor_secret = "edge-login"};
  configuration.profiles["bare"] = {.namespaces = {"plain"}, .sensor_secret = ""};
  configuration.profiles["same"] = {.namespaces = {"other"}};
  return configuration;
}

Json injected(const test::PodBuilder& before, const Configuration& configuration) {
  const admission::Answer answer = admit_pod(before, Entry::kNamespace, configuration);
  EXPECT_THAT(answer.warnings, IsEmpty());
  return before.json().patch(Json::parse(answer.patch));
}

Json secret_volumes(const Json& after) {
  Json found = Json::array();
  for (const Json& volume : after["spec"].value("volumes", Json::array()))
    if (volume.contains("secret")) found.push_back(volume);
  return found;
}

std::string folder_told(const Json& after) {
  const Json tap = sidecar(after);
  for (const Json& one : tap["env"])
    if (one["name"] == "SENSOR_SECRET_DIR") return one["value"];
  return "(not set)";
}

TEST(SensorSecret, IsMountedWhetherOrNotItExists) {
  const Json after = injected(pod().in("lab"), with_secrets());
  EXPECT_EQ(secret_volumes(after), Json::parse(R"([{"name": "sidetap-sensor", "secret":
    {"secretName": "login", "optional": true, "defaultMode": 292}}])"));
  const Json mounts = sidecar(after)["volumeMounts"];
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[1], Json::parse(R"({"name": "sidetap-sensor",
    "mountPath": "/var/run/secrets/sidetap/sensor", "readOnly": true})"));
  EXPECT_FALSE(after["spec"]["containers"][0].contains("volumeMounts"));
  EXPECT_EQ(folder_told(after), kSecretFolder);
}

TEST(SensorSecret, IsThatOfTheProfile) {
  const auto name = [](const char* namespace_name) {
    const Json volumes = secret_volumes(injected(pod().in(namespace_name), with_secrets()));
    return volumes.empty() ? "(none)" : volumes[0]["secret"]["secretName"].get<std::string>();
  };
  EXPECT_EQ(name("shop"), "edge-login");
  EXPECT_EQ(name("other"), "login") << "the profile names none of its own";
  EXPECT_EQ(name("plain"), "(none)") << "the profile does without";
}

TEST(SensorSecret, LeavesNoTraceWhereNoneIsNamed) {
  for (const auto& [before, configuration] :
       {std::pair(pod().in("plain"), with_secrets()), std::pair(pod(), test_configuration())}) {
    const Json after = injected(before, configuration);
    EXPECT_TRUE(secret_volumes(after).empty()) << after;
    EXPECT_EQ(folder_told(after), "(not set)");
  }
}

TEST(SensorSecret, IsTheOnlyVolumeWhereThePodHasNoToken) {
  const Json after =
      injected(pod().in("lab").set("/spec/automountServiceAccountToken", false), with_secrets());
  ASSERT_EQ(after["spec"]["volumes"].size(), 1U);
  EXPECT_EQ(after["spec"]["volumes"][0]["name"], "sidetap-sensor");
  ASSERT_EQ(sidecar(after)["volumeMounts"].size(), 1U);
  EXPECT_EQ(sidecar(after)["volumeMounts"][0]["mountPath"], kSecretFolder);
  EXPECT_EQ(after["metadata"]["annotations"].size(), 1U) << "it keeps no node";
}

TEST(SensorSecret, VolumeTakesAFreeNameBesideThePods) {
  const Json after =
      injected(pod().in("lab").set("/spec/volumes", Json::parse(R"([{"name":"sidetap-sensor"}])")),
               with_secrets());
  ASSERT_EQ(after["spec"]["volumes"].size(), 3U);
  EXPECT_EQ(after["spec"]["volumes"][0]["name"], "sidetap-sensor");
  EXPECT_EQ(after["spec"]["volumes"][2]["name"], "sidetap-sensor-2");
  EXPECT_EQ(sidecar(after)["volumeMounts"][1]["name"], "sidetap-sensor-2");
}

TEST(SensorSecret, IsRecordedAndNotAddedAgain) {
  const Json after = injected(pod().in("lab"), with_secrets());
  const Json status =
      Json::parse(after["metadata"]["annotations"]["sidetap.io/status"].get<std::string>());
  EXPECT_EQ(status["volumes"], Json::parse(R"(["sidetap-no-token", "sidetap-sensor"])"));
  const admission::Answer again =
      admit(test::review_of(after).dump(), Entry::kNamespace, with_secrets());
  EXPECT_EQ(again.reason, Reason::kAlreadyInjected);
  EXPECT_THAT(again.patch, IsEmpty());
}

TEST(SensorSecret, YieldsToTheOperatorsFolder) {
  Configuration configuration = with_secrets();
  configuration.sidecar.env["SENSOR_SECRET_DIR"] = "/elsewhere";
  EXPECT_EQ(folder_told(injected(pod().in("lab"), configuration)), "/elsewhere");
}

}  // namespace
}  // namespace sidetap
