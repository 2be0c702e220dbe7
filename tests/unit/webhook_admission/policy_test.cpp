#include "webhook/admission/policy.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/review_builder.h"

namespace sidetap {
namespace {

using admission::Action;
using admission::Entry;
using admission::Reason;
using test::admit_pod;
using test::Json;
using test::pod;
using test::PodBuilder;
using test::test_configuration;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kInject = "sidetap.io/inject";

void expect_skip(const admission::Answer& outcome, Reason reason, bool warned) {
  EXPECT_EQ(outcome.action, Action::kSkip);
  EXPECT_EQ(admission::reason_name(outcome.reason), admission::reason_name(reason));
  EXPECT_THAT(outcome.patch, IsEmpty());
  EXPECT_EQ(outcome.warnings.size(), warned ? 1U : 0U);
  for (const std::string& warning : outcome.warnings) EXPECT_LE(warning.size(), 120U) << warning;
}

void expect_injected(const admission::Answer& outcome, Reason reason) {
  EXPECT_EQ(outcome.action, Action::kInject)
      << admission::reason_name(outcome.reason) << " " << Json(outcome.warnings);
  EXPECT_EQ(admission::reason_name(outcome.reason), admission::reason_name(reason));
  EXPECT_FALSE(outcome.patch.empty());
}

TEST(OptIn, FollowsThePrecedence) {
  const PodBuilder silent = pod();
  const PodBuilder asks = pod().annotation(kInject, "true");
  const PodBuilder declines = pod().annotation(kInject, "false");
  expect_skip(admit_pod(declines, Entry::kNamespace), Reason::kPodOptOut, false);
  expect_skip(admit_pod(declines, Entry::kDisabled), Reason::kPodOptOut, false);
  expect_skip(admit_pod(asks, Entry::kDisabled), Reason::kNamespaceDisabled, false);
  expect_skip(admit_pod(silent, Entry::kDisabled), Reason::kNamespaceDisabled, false);
  expect_injected(admit_pod(asks, Entry::kPod), Reason::kPodOptIn);
  expect_injected(admit_pod(asks, Entry::kNamespace), Reason::kPodOptIn);
  expect_injected(admit_pod(silent, Entry::kNamespace), Reason::kNamespaceEnabled);
  expect_skip(admit_pod(silent, Entry::kPod), Reason::kNotRequested, false);
}

TEST(OptIn, TakesTheLabelLikeTheAnnotation) {
  expect_injected(admit_pod(pod().label(kInject, "true"), Entry::kPod), Reason::kPodOptIn);
  expect_skip(admit_pod(pod().label(kInject, "false")), Reason::kPodOptOut, false);
}

TEST(OptIn, LetsTheAnnotationWin) {
  expect_injected(admit_pod(pod().label(kInject, "false").annotation(kInject, "true")),
                  Reason::kPodOptIn);
  expect_skip(admit_pod(pod().label(kInject, "true").annotation(kInject, "false")),
              Reason::kPodOptOut, false);
}

TEST(OptIn, RefusesAnotherValueByName) {
  for (const std::string value : {"maybe", "True", "yes", "", "enabled"}) {
    const admission::Answer outcome = admit_pod(pod().annotation(kInject, value));
    expect_skip(outcome, Reason::kBadValue, true);
    EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr('"' + value + '"')));
  }
  expect_skip(admit_pod(pod().annotation(kInject, "maybe").label(kInject, "true")),
              Reason::kBadValue, true);
  expect_skip(admit_pod(pod().label(kInject, "maybe"), Entry::kPod), Reason::kBadValue, true);
}

TEST(OptIn, KeepsAWarningShortAndPrintable) {
  const admission::Answer outcome =
      admit_pod(pod().annotation(kInject, std::string(500, 'x') + "\n\x01"));
  expect_skip(outcome, Reason::kBadValue, true);
  const admission::Answer control = admit_pod(pod().annotation(kInject, "a\nb\x01"));
  EXPECT_THAT(control.warnings, ElementsAre(HasSubstr("\"a?b?\"")));
  // U+0080 to U+009F; U+00A0 is none of them.
  const admission::Answer second_set =
      admit_pod(pod().annotation(kInject, "a\xc2\x80\xc2\x9f\xc2\xa0"));
  EXPECT_THAT(second_set.warnings, ElementsAre(HasSubstr("\"a??\xc2\xa0\"")));
  std::string umlauts;
  for (int i = 0; i < 300; ++i) umlauts += "\xc3\xa4";
  EXPECT_NO_THROW(Json(admit_pod(pod().annotation(kInject, umlauts)).warnings).dump());
}

TEST(Never, MirrorPods) {
  expect_skip(admit_pod(pod().annotation("kubernetes.io/config.mirror", "abc")), Reason::kMirrorPod,
              true);
}

TEST(Never, WindowsPods) {
  expect_skip(admit_pod(pod().set("/spec/os", {{"name", "windows"}})), Reason::kWindowsPod, true);
  for (const char* key : {"kubernetes.io/os", "beta.kubernetes.io/os"})
    expect_skip(admit_pod(pod().set("/spec/nodeSelector", {{key, "windows"}})), Reason::kWindowsPod,
                true);
  expect_injected(admit_pod(pod().set("/spec/os", {{"name", "linux"}})), Reason::kNamespaceEnabled);
}

/// A pod with these terms of required node affinity.
PodBuilder with_affinity(const std::string& terms) {
  return pod().set("/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution",
                   {{"nodeSelectorTerms", Json::parse(terms)}});
}

TEST(Never, PodsWhoseRequiredAffinityLeavesNoLinuxNode) {
  for (
      const char* terms : {
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}])",
          R"([{"matchExpressions":[{"key":"beta.kubernetes.io/os","operator":"In","values":["windows"]}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"NotIn","values":["linux"]}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"DoesNotExist"}]}])",
          R"([{"matchExpressions":[{"key":"node.kubernetes.io/windows-build","operator":"Exists"}]}])",
          R"([{"matchExpressions":[{"key":"zone","operator":"In","values":["a"]},
                                    {"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]}]},
               {"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]},
                                    {"key":"disk","operator":"Exists"}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}, {}])",
      })
    expect_skip(admit_pod(with_affinity(terms)), Reason::kWindowsPod, true);
}

TEST(Never, AnotherTermOfTheAffinityThatLinuxNodesFulfilIsEnough) {
  for (
      const char* terms : {
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["linux"]}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"NotIn","values":["windows"]}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"Exists"}]}])",
          R"([{"matchExpressions":[{"key":"node.kubernetes.io/windows-build","operator":"DoesNotExist"}]}])",
          R"([{"matchExpressions":[{"key":"zone","operator":"In","values":["windows"]}]}])",
          R"([{"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]}])",
          R"([])",
      })
    expect_injected(admit_pod(with_affinity(terms)), Reason::kNamespaceEnabled);
  const auto preferred =
      pod().set("/spec/affinity/nodeAffinity/preferredDuringSchedulingIgnoredDuringExecution",
                Json::parse(R"([{"weight":1,"preference":{"matchExpressions":[
          {"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}}])"));
  expect_injected(admit_pod(preferred), Reason::kNamespaceEnabled);
}

TEST(Never, ATermForWindowsNodesBesideOneForLinuxIsWarnedOf) {
  for (
      const char* terms : {
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["linux"]}]},
               {"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}])",
          R"([{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["linux","windows"]}]}])",
      }) {
    const admission::Answer outcome = admit_pod(with_affinity(terms));
    expect_injected(outcome, Reason::kNamespaceEnabled);
    EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr("require kubernetes.io/os=linux")));
    const auto settled =
        admit_pod(with_affinity(terms).set("/spec/nodeSelector", {{"kubernetes.io/os", "linux"}}));
    expect_injected(settled, Reason::kNamespaceEnabled);
    EXPECT_THAT(settled.warnings, IsEmpty());
  }
}

TEST(Never, PodsWithWindowsOptions) {
  const Json options = {{"runAsUserName", "ContainerUser"}};
  const PodBuilder whole = pod().set("/spec/securityContext/windowsOptions", options);
  expect_skip(admit_pod(whole), Reason::kWindowsPod, true);
  expect_skip(admit_pod(pod().set("/spec/containers/0/securityContext/windowsOptions",
                                  {{"hostProcess", true}})),
              Reason::kWindowsPod, true);
  expect_injected(admit_pod(pod().set("/spec/securityContext/windowsOptions", Json::object())),
                  Reason::kNamespaceEnabled);
  expect_injected(
      admit_pod(PodBuilder(whole).set("/spec/nodeSelector", {{"kubernetes.io/os", "linux"}})),
      Reason::kNamespaceEnabled);
  expect_injected(admit_pod(PodBuilder(whole).set("/spec/os", {{"name", "linux"}})),
                  Reason::kNamespaceEnabled);
}

TEST(Never, PodsOnTheNodesNetwork) {
  expect_skip(admit_pod(pod().set("/spec/hostNetwork", true)), Reason::kHostNetwork, true);
  expect_injected(admit_pod(pod().set("/spec/hostNetwork", false)), Reason::kNamespaceEnabled);
}

TEST(Never, ProtectedNamespaces) {
  auto configuration = test_configuration();
  configuration.injection.excluded_namespaces = {"monitoring"};
  for (const std::string name :
       {"kube-system", "kube-public", "kube-node-lease", "sidetap", "monitoring"}) {
    expect_skip(admit_pod(pod().in(name), Entry::kNamespace, configuration),
                Reason::kProtectedNamespace, true);
    // The object's own namespace may be anything, or missing.
    expect_skip(admit_pod(pod().in(name).set("/metadata/namespace", "shop"), Entry::kNamespace,
                          configuration),
                Reason::kProtectedNamespace, true);
  }
  expect_injected(
      admit_pod(pod().set("/metadata/namespace", "kube-system"), Entry::kNamespace, configuration),
      Reason::kNamespaceEnabled);
}

TEST(Never, PodsUnderTheExclusionSelector) {
  using Operator = configuration::LabelCondition::Operator;
  auto configuration = test_configuration();
  configuration.injection.excluded_pods = {
      {{"app", Operator::kIn, {"sensor", "probe"}}, {"tier", Operator::kExists, {}}},
      {{"zone", Operator::kNotIn, {"a"}}, {"app", Operator::kDoesNotExist, {}}},
  };
  const auto with = [&](const PodBuilder& one) {
    return admit_pod(one, Entry::kNamespace, configuration);
  };
  expect_skip(with(pod().label("app", "probe").label("tier", "")), Reason::kExcludedPod, true);
  expect_injected(with(pod().label("app", "probe")), Reason::kNamespaceEnabled);
  expect_injected(with(pod().label("tier", "x")), Reason::kNamespaceEnabled);
  expect_skip(with(pod().set("/metadata/labels", Json::object())), Reason::kExcludedPod, true);
  expect_injected(with(pod().set("/metadata/labels", {{"zone", "a"}})), Reason::kNamespaceEnabled);
}

TEST(Never, PodsThatHaveTheSidecar) {
  const Json sidecar = {{"name", "sidetap"}, {"image", "x"}, {"restartPolicy", "Always"}};
  for (const char* list : {"/spec/initContainers/0", "/spec/containers/1"})
    expect_skip(admit_pod(pod().set(list, sidecar).annotation("sidetap.io/status", "{}")),
                Reason::kAlreadyInjected, false);
}

TEST(Never, PodsWithAnotherContainerOfThatName) {
  expect_skip(admit_pod(pod().set("/spec/containers/1", {{"name", "sidetap"}})), Reason::kNameTaken,
              true);
}

TEST(Never, PodsThatClaimToHaveTheSidecar) {
  expect_skip(admit_pod(pod().annotation("sidetap.io/status", "{}")), Reason::kAlreadyInjected,
              true);
}

TEST(Never, PodsOfJobsAsPlainContainer) {
  auto configuration = test_configuration();
  expect_injected(admit_pod(pod().of_job(), Entry::kNamespace, configuration),
                  Reason::kNamespaceEnabled);
  configuration.sidecar.native = configuration::Native::kNever;
  expect_skip(admit_pod(pod().of_job(), Entry::kNamespace, configuration),
              Reason::kJobWithoutNative, true);
  configuration.injection.force_jobs = true;
  expect_injected(admit_pod(pod().of_job(), Entry::kNamespace, configuration),
                  Reason::kNamespaceEnabled);
}

TEST(Never, WithoutASensor) {
  auto configuration = test_configuration();
  configuration.taps[tap::kSensor].clear();
  expect_skip(admit_pod(pod(), Entry::kNamespace, configuration), Reason::kNoSensor, true);
  expect_injected(admit_pod(pod().annotation("sidetap.io/sensor", "192.0.2.1"), Entry::kNamespace,
                            configuration),
                  Reason::kNamespaceEnabled);
  configuration.sidecar.env["PASSIVE_LISTEN"] = ":2002";
  expect_injected(admit_pod(pod(), Entry::kNamespace, configuration), Reason::kNamespaceEnabled);
}

TEST(Never, WhatIsNoPod) {
  expect_skip(admit_pod(pod().set("/spec", nullptr)), Reason::kUnusablePod, true);
  expect_skip(admit_pod(pod().set("/spec/containers", Json::array())), Reason::kUnusablePod, true);
  expect_skip(admit_pod(pod().set("/spec/containers", "x")), Reason::kUnusablePod, true);
  expect_skip(admit_pod(pod().set("/spec/volumes", "x")), Reason::kUnusablePod, true);
  expect_skip(admit_pod(pod().set("/spec/initContainers", {{"a", 1}})), Reason::kUnusablePod, true);
  expect_skip(admit_pod(pod().set("/spec/imagePullSecrets", 5)), Reason::kUnusablePod, true);
  expect_skip(admit_pod(pod().set("/metadata/annotations", Json::array())), Reason::kUnusablePod,
              true);
  expect_skip(admit_pod(pod().set("/metadata", 7)), Reason::kUnusablePod, true);
}

TEST(Never, StaysSilentTowardsThoseWhoDidNotAsk) {
  expect_skip(admit_pod(pod().set("/spec/hostNetwork", true), Entry::kPod), Reason::kNotRequested,
              false);
  expect_skip(admit_pod(pod().in("kube-system"), Entry::kPod), Reason::kNotRequested, false);
}

TEST(Reasons, HaveNamesThatDiffer) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < admission::kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_TRUE(names.insert(admission::reason_name(reason)).second);
    EXPECT_TRUE(admission::reason_text(reason).ends_with('.'));
  }
  EXPECT_EQ(admission::reason_name(Reason::kPodOptIn), "pod-opt-in");
  EXPECT_EQ(admission::reason_name(Reason::kBadReview), "bad-review");
}

}  // namespace
}  // namespace sidetap
