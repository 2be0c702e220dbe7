#include "webhook/admission/ephemeral.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/review_builder.h"
#include "webhook/pods/ephemeral.h"

namespace sidetap {
namespace {

using admission::Action;
using admission::Entry;
using admission::Reason;
using test::Json;
using test::pod;
using test::PodBuilder;
using test::test_configuration;
using testing::HasSubstr;
using testing::IsEmpty;

/// What `kubectl sidetap tap` adds.
Json stub(const std::string& name = "sidetap") {
  return {{"name", name}, {"image", "sidetap.invalid/stub"}, {"stdin", true}};
}

/// Somebody adds containers to a pod that runs. The new object lies wherever it can.
Json addition_to(const PodBuilder& before, const Json& added) {
  Json after = before.json();
  after["metadata"]["annotations"] = {{"sidetap.io/sensor", "192.0.2.66"},
                                      {"sidetap.io/inject", "true"}};
  Json& list = after["spec"]["ephemeralContainers"];
  if (list.is_null()) list = Json::array();
  for (const Json& one : added) list.push_back(one);
  Json review = before.review();
  review["request"]["operation"] = "UPDATE";
  review["request"]["subResource"] = "ephemeralcontainers";
  review["request"]["object"] = after;
  review["request"]["oldObject"] = before.json();
  return review;
}

admission::Answer tap_running(
    const PodBuilder& before, Entry called = Entry::kEphemeral,
    const configuration::Configuration& configuration = test_configuration(),
    const Json& added = Json::array({stub()})) {
  return admission::admit(addition_to(before, added).dump(), called, configuration);
}

Json response_of(const admission::Answer& answer) { return Json::parse(answer.body)["response"]; }

void expect_denied(const admission::Answer& answer, Reason reason, const std::string& why) {
  EXPECT_EQ(answer.action, Action::kDeny);
  EXPECT_EQ(admission::reason_name(answer.reason), admission::reason_name(reason));
  EXPECT_THAT(answer.patch, IsEmpty());
  const Json response = response_of(answer);
  EXPECT_EQ(response["allowed"], false);
  EXPECT_EQ(response["status"]["code"], 403);
  EXPECT_THAT(response["status"]["message"].get<std::string>(),
              testing::AllOf(HasSubstr("sidetap: not tapped: "), HasSubstr(why)));
}

void expect_left_alone(const admission::Answer& answer, Reason reason) {
  EXPECT_EQ(answer.action, Action::kSkip);
  EXPECT_EQ(admission::reason_name(answer.reason), admission::reason_name(reason));
  EXPECT_EQ(response_of(answer)["allowed"], true);
  EXPECT_THAT(answer.patch, IsEmpty());
}

/// The container that the patch makes of the one that was added last.
Json filled_in(const PodBuilder& before, const admission::Answer& answer) {
  EXPECT_EQ(answer.action, Action::kInject) << answer.refusal;
  EXPECT_EQ(response_of(answer)["allowed"], true);
  const Json after = addition_to(before, Json::array({stub()}))["request"]["object"];
  return after.patch(Json::parse(answer.patch))["spec"]["ephemeralContainers"].back();
}

PodBuilder with_ephemeral(const std::string& name, const Json& state) {
  return pod()
      .set("/spec/ephemeralContainers", Json::array({stub(name)}))
      .set("/status/ephemeralContainerStatuses", Json::array({{{"name", name}, {"state", state}}}));
}

TEST(EphemeralTap, IsWhatTheWebhookWouldInject) {
  auto configuration = test_configuration();
  configuration.sidecar.image = "registry.example/sidetap-sidecar:1";
  configuration.registry.address = "sidetap-registry.sidetap.svc:8444";
  const admission::Answer answer = tap_running(pod(), Entry::kEphemeral, configuration);
  EXPECT_EQ(answer.reason, Reason::kTapAsked);
  const Json container = filled_in(pod(), answer);
  EXPECT_EQ(container["name"], "sidetap");
  EXPECT_EQ(container["image"], "registry.example/sidetap-sidecar:1");
  EXPECT_EQ(container["command"], Json::array({"/usr/bin/sidetap-sidecar"}));
  EXPECT_EQ(container["args"], Json::array({"run"}));
  EXPECT_EQ(container["securityContext"]["capabilities"]["add"], Json::array({"NET_RAW"}));
  EXPECT_EQ(container["stdin"], true);
  EXPECT_EQ(container["stdinOnce"], false);
  const auto has = [&](const std::string& name, const std::string& value) {
    return testing::Contains(Json{{"name", name}, {"value", value}});
  };
  EXPECT_THAT(container["env"], has("SENSOR", "10.10.10.10:2003"));
  EXPECT_THAT(container["env"], has("REGISTRY_TOKEN_FILE", "-"));
  EXPECT_THAT(container["env"], has("STDIN_ORDERS", "on"));
  EXPECT_THAT(answer.patch, testing::Not(HasSubstr("NATIVE_SIDECAR")));
}

TEST(EphemeralTap, HasNoFieldThatAnEphemeralContainerCannotHave) {
  auto configuration = test_configuration();
  configuration.sidecar.fields = {{"lifecycle", R"({"preStop":{}})"},
                                  {"livenessProbe", "{}"},
                                  {"args", R"(["run","--sandbox","off"])"}};
  const Json container = filled_in(pod(), tap_running(pod(), Entry::kEphemeral, configuration));
  for (const char* field : {"ports", "resources", "livenessProbe", "readinessProbe", "lifecycle",
                            "startupProbe", "restartPolicy", "volumeMounts", "resizePolicy"})
    EXPECT_FALSE(container.contains(field)) << field;
  EXPECT_EQ(container["args"], Json::array({"run", "--sandbox", "off"}));
}

TEST(EphemeralTap, FollowsThePodAsItIsStoredAndNotTheRequest) {
  const PodBuilder before = pod().annotation("sidetap.io/snaplen", "128");
  const admission::Answer answer = tap_running(before);
  EXPECT_THAT(answer.patch, HasSubstr(R"("SNAPLEN","value":"128")"));
  EXPECT_THAT(answer.patch, testing::Not(HasSubstr("192.0.2.66")));
}

TEST(EphemeralTap, NeedsNoOptIn) {
  EXPECT_EQ(tap_running(pod()).action, Action::kInject);
  EXPECT_EQ(tap_running(pod().annotation("sidetap.io/inject", "true")).action, Action::kInject);
  EXPECT_EQ(tap_running(pod().of_job()).action, Action::kInject);
}

TEST(EphemeralTap, IsRefusedWhereSomebodyDeclines) {
  expect_denied(tap_running(pod().annotation("sidetap.io/inject", "false")), Reason::kPodOptOut,
                "the pod opts out");
  expect_denied(tap_running(pod().label("sidetap.io/inject", "false")), Reason::kPodOptOut,
                "the pod opts out");
  expect_denied(tap_running(pod().annotation("sidetap.io/inject", "maybe")), Reason::kBadValue,
                "maybe");
  expect_denied(tap_running(pod(), Entry::kEphemeralDisabled), Reason::kNamespaceDisabled,
                "disabled");
  expect_denied(
      tap_running(pod().annotation("sidetap.io/inject", "true"), Entry::kEphemeralDisabled),
      Reason::kNamespaceDisabled, "disabled");
}

TEST(EphemeralTap, IsRefusedWhereANewPodWouldGetNone) {
  expect_denied(tap_running(pod().in("kube-system")), Reason::kProtectedNamespace, "excluded");
  expect_denied(tap_running(pod().in("sidetap")), Reason::kProtectedNamespace, "excluded");
  expect_denied(tap_running(pod().set("/spec/hostNetwork", true)), Reason::kHostNetwork,
                "node's network");
  expect_denied(tap_running(pod().annotation("kubernetes.io/config.mirror", "x")),
                Reason::kMirrorPod, "mirror");
  expect_denied(tap_running(pod().set("/spec/os", {{"name", "windows"}})), Reason::kWindowsPod,
                "Linux");
  expect_denied(tap_running(pod().set("/spec/containers", Json::array())), Reason::kUnusablePod,
                "no spec.containers");
  auto configuration = test_configuration();
  configuration.taps[tap::kSensor].clear();
  expect_denied(tap_running(pod(), Entry::kEphemeral, configuration), Reason::kNoSensor,
                "no sensor");
}

TEST(EphemeralTap, IsRefusedWhereATapIs) {
  expect_denied(tap_running(pod().annotation("sidetap.io/status", "{}")), Reason::kAlreadyInjected,
                "since its creation");
  expect_denied(
      tap_running(pod().set("/spec/initContainers", Json::parse(R"([{"name":"sidetap"}])"))),
      Reason::kAlreadyInjected, "since its creation");
  expect_denied(
      tap_running(with_ephemeral("sidetap", {{"running", Json::object()}}), Entry::kEphemeral,
                  test_configuration(), Json::array({stub("sidetap-2")})),
      Reason::kAlreadyInjected, "has not ended");
  expect_denied(tap_running(pod(), Entry::kEphemeral, test_configuration(),
                            Json::array({stub(), stub("sidetap-2")})),
                Reason::kNameTaken, "one tap at a time");
}

TEST(EphemeralTap, MayFollowOneThatHasEnded) {
  const PodBuilder before = with_ephemeral("sidetap", {{"terminated", {{"exitCode", 0}}}});
  const admission::Answer answer = tap_running(before, Entry::kEphemeral, test_configuration(),
                                               Json::array({stub("sidetap-2")}));
  EXPECT_EQ(answer.action, Action::kInject) << answer.refusal;
  const Json patch = Json::parse(answer.patch);
  EXPECT_EQ(patch[0]["path"], "/spec/ephemeralContainers/1");
  EXPECT_EQ(patch[0]["value"]["name"], "sidetap-2");
}

TEST(EphemeralTap, LeavesOtherContainersAndRequestsAlone) {
  for (const char* name : {"debugger-x7f2z", "sidetap-debug", "sidetap-", "sidetapper", "tap"}) {
    SCOPED_TRACE(name);
    expect_left_alone(
        tap_running(pod(), Entry::kEphemeral, test_configuration(), Json::array({stub(name)})),
        Reason::kNotRequested);
  }
  // It was there before: somebody else adds a container now.
  expect_left_alone(
      tap_running(with_ephemeral("sidetap", {{"running", Json::object()}}), Entry::kEphemeral,
                  test_configuration(), Json::array({stub("debugger")})),
      Reason::kNotRequested);
  expect_left_alone(test::admit_pod(pod(), Entry::kEphemeral), Reason::kNotPodCreation);
  expect_left_alone(admission::admit(addition_to(pod(), Json::array({stub()})).dump(),
                                     Entry::kNamespace, test_configuration()),
                    Reason::kNotPodCreation);
}

TEST(EphemeralTap, IsFilledInTheSameWhenTheWebhookIsAskedAgain) {
  const admission::Answer first = tap_running(pod());
  const admission::Answer again = tap_running(pod(), Entry::kEphemeral, test_configuration(),
                                              Json::array({filled_in(pod(), first)}));
  EXPECT_EQ(again.patch, first.patch);
}

TEST(EphemeralTap, SaysThatAPullSecretCannotBeAdded) {
  auto configuration = test_configuration();
  configuration.sidecar.image_pull_secrets = {"pull", "there"};
  const admission::Answer answer =
      tap_running(pod().set("/spec/imagePullSecrets", Json::parse(R"([{"name":"there"}])")),
                  Entry::kEphemeral, configuration);
  EXPECT_EQ(answer.action, Action::kInject);
  EXPECT_THAT(answer.warnings, testing::ElementsAre(HasSubstr("lacks the pull secret \"pull\"")));
}

TEST(EphemeralTap, OfAPodWithoutEndIsRefused) {
  Json many = Json::array();
  for (std::size_t i = 0; i <= pods::kMostEphemeral; ++i) many.push_back(stub("x"));
  expect_denied(tap_running(pod().set("/spec/ephemeralContainers", many)), Reason::kUnusablePod,
                "too many");
  Json review = addition_to(pod(), Json::array({stub()}));
  review["request"].erase("oldObject");
  expect_denied(admission::admit(review.dump(), Entry::kEphemeral, test_configuration()),
                Reason::kUnusablePod, "no pod");
}

TEST(EphemeralTap, GivesWhatTheLogAndTheMetricsCallIt) {
  EXPECT_EQ(admission::entry_name(Entry::kEphemeral), "ephemeral");
  EXPECT_EQ(admission::entry_name(Entry::kEphemeralDisabled), "ephemeral-disabled");
  EXPECT_EQ(admission::action_name(Action::kDeny), "deny");
  EXPECT_EQ(admission::reason_name(Reason::kTapAsked), "tap-asked");
}

}  // namespace
}  // namespace sidetap
