#include <gtest/gtest.h>

#include "unit/webhook_injection/injected.h"

namespace sidetap {
namespace {

using test::Json;
using test::pod;
using test::PodBuilder;
using test::sidecar;

TEST(Resources, AreAlwaysBounded) {
  EXPECT_EQ(sidecar(pod())["resources"], Json::parse(R"({
    "requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "96Mi"}})"));
}

Json resources(const char* cpu, const char* memory, const char* cpu_limit,
               const char* memory_limit) {
  return {{"requests", {{"cpu", cpu}, {"memory", memory}}},
          {"limits", {{"cpu", cpu_limit}, {"memory", memory_limit}}}};
}

bool stays_guaranteed(const PodBuilder& before) {
  const Json amounts = sidecar(before)["resources"];
  return amounts["requests"] == amounts["limits"];
}

TEST(Resources, KeepAGuaranteedPodGuaranteed) {
  const char* const at = "/spec/containers/0/resources";
  EXPECT_TRUE(stays_guaranteed(pod().set(at, resources("1", "1Gi", "1", "1Gi"))));
  EXPECT_TRUE(stays_guaranteed(pod().set(at, resources("0.5", "1024Mi", "500m", "1Gi"))));
  EXPECT_TRUE(stays_guaranteed(pod().set(at, {{"limits", {{"cpu", 1}, {"memory", "1Gi"}}}})))
      << "missing requests are filled from the limits";
}

TEST(Resources, KeepAGuaranteedPodGuaranteedHoweverItsAmountsAreWritten) {
  const char* const at = "/spec/containers/0/resources";
  const Json limits = {{"cpu", 0.5}, {"memory", 1'073'741'824}};
  const Json requests = {{"cpu", "500m"}, {"memory", "1Gi"}};
  EXPECT_TRUE(stays_guaranteed(pod().set(at, {{"limits", limits}, {"requests", requests}})));
  EXPECT_TRUE(stays_guaranteed(pod().set(at, {{"limits", requests}, {"requests", limits}})));
  EXPECT_TRUE(stays_guaranteed(
      pod()
          .set(at, resources("0.1", "1Gi", "0.1", "1Gi"))
          .set("/spec/initContainers/0", {{"name", "i"}})
          .set("/spec/initContainers/0/resources", resources("0.2", "1e9", "200m", "1G"))));
}

TEST(Resources, LeaveABurstablePodBurstable) {
  const char* const at = "/spec/containers/0/resources";
  EXPECT_FALSE(stays_guaranteed(pod().set(at, resources("1", "1Gi", "2", "1Gi"))));
  EXPECT_FALSE(stays_guaranteed(pod().set(at, resources("1", "1Gi", "1", "2Gi"))));
  EXPECT_FALSE(stays_guaranteed(pod().set(at, resources("0", "1Gi", "1", "1Gi"))))
      << "a request of zero is there, but does not count";
  EXPECT_FALSE(stays_guaranteed(pod().set(at, resources("0", "1Gi", "0", "1Gi"))))
      << "a limit of zero is none";
  EXPECT_FALSE(stays_guaranteed(pod().set(at, {{"limits", {{"cpu", "1"}}}})));
  EXPECT_FALSE(stays_guaranteed(pod()
                                    .set(at, resources("1", "1Gi", "1", "1Gi"))
                                    .set("/spec/initContainers/0", {{"name", "i"}})))
      << "init containers count";
  EXPECT_FALSE(stays_guaranteed(
      pod()
          .set(at, resources("1", "1Gi", "1", "1Gi"))
          .set("/spec/initContainers/0", {{"name", "proxy"}, {"restartPolicy", "Always"}})))
      << "sidecars too";
}

TEST(Resources, AreLeftToAPodThatHasItsOwnAsAWhole) {
  const auto with = [](const Json& whole) {
    return sidecar(pod().set("/spec/resources", whole)).value("resources", Json());
  };
  EXPECT_EQ(with({{"limits", {{"cpu", "1"}, {"memory", "1Gi"}}}}), nullptr);
  EXPECT_EQ(with({{"limits", {{"cpu", "1"}}}, {"requests", {{"memory", "1Gi"}}}}), nullptr);
  EXPECT_EQ(with({{"limits", {{"cpu", "1"}}}}),
            Json::parse(R"({"requests": {"memory": "32Mi"}, "limits": {"memory": "96Mi"}})"));
  EXPECT_EQ(with({{"requests", {{"memory", "1Gi"}}}}),
            Json::parse(R"({"requests": {"cpu": "10m"}, "limits": {"cpu": "500m"}})"));
}

TEST(Resources, AreThoseOfAnyPodWhereThePodsOwnAreEmpty) {
  const Json usual = sidecar(pod())["resources"];
  for (const char* whole : {"{}", "null", R"({"limits":{}})", R"({"limits":{},"requests":null})",
                            R"({"limits":{"hugepages-2Mi":"2Mi"}})"})
    EXPECT_EQ(sidecar(pod().set("/spec/resources", Json::parse(whole)))["resources"], usual)
        << whole;
}

}  // namespace
}  // namespace sidetap
