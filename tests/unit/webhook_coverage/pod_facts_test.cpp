// What is read of pods and namespaces, with the webhook's own decision about each pod.
#include "webhook/coverage/pod_facts.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/webhook_coverage/stored_objects.h"
#include "webhook/identity/identity_text.h"

namespace sidetap::webhook::coverage {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::optional<PodFacts> read_selected(const json& pod, Selects selects = Selects::kAll) {
  return read_pod(pod, selects, judge);
}

/// Fails if it is asked.
admission::Answer never(std::string_view) {
  ADD_FAILURE() << "the webhook was asked";
  return {};
}

TEST(PodFacts, AnUntappedPodWithItsDeployment) {
  const auto facts = read_selected(stored_pod("web-7d4b9-x"));
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->tapped);
  EXPECT_FALSE(facts->asks);
  EXPECT_EQ(facts->owner, "Deployment/web");
  EXPECT_FALSE(facts->of_job);
  EXPECT_FALSE(facts->declined);
  EXPECT_EQ(facts->detail, "");
  ASSERT_TRUE(facts->created);
  EXPECT_EQ(identity::to_text(*facts->created), "2026-01-02T03:04:05.000Z");
}

TEST(PodFacts, AReplicaSetWithoutADeploymentIsNamedItself) {
  json pod = stored_pod("a");
  pod["metadata"]["labels"].erase("pod-template-hash");
  EXPECT_EQ(read_selected(pod)->owner, "ReplicaSet/web-7d4b9");
  pod["metadata"]["labels"]["pod-template-hash"] = "web-7d4b9";
  EXPECT_EQ(read_selected(pod)->owner, "ReplicaSet/web-7d4b9");
}

TEST(PodFacts, OnlyAControllerIsAnOwner) {
  json pod = stored_pod("a");
  pod["metadata"]["ownerReferences"][0]["controller"] = false;
  EXPECT_EQ(read_selected(pod)->owner, "");
  pod["metadata"].erase("ownerReferences");
  EXPECT_EQ(read_selected(pod)->owner, "");
}

TEST(PodFacts, AJobOfTheBatchGroup) {
  json pod = stored_pod("a");
  auto& owner = pod["metadata"]["ownerReferences"][0];
  owner["kind"] = "Job";
  owner["name"] = "sum";
  EXPECT_FALSE(read_selected(pod)->of_job);
  owner["apiVersion"] = "batch/v1";
  EXPECT_TRUE(read_selected(pod)->of_job);
  EXPECT_EQ(read_selected(pod)->owner, "Job/sum");
}

TEST(PodFacts, ATappedPodHasTheContainerThatIsWrittenDown) {
  const auto facts = read_pod(tapped_pod("a"), Selects::kAll, never);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->tapped);
  json plain = tapped_pod("a");
  plain["spec"]["containers"].push_back(plain["spec"]["initContainers"][0]);
  plain["spec"].erase("initContainers");
  EXPECT_TRUE(read_pod(plain, Selects::kAll, never)->tapped);
}

TEST(PodFacts, AnAnnotationWithoutItsContainerIsNoTap) {
  json pod = tapped_pod("a");
  pod["spec"].erase("initContainers");
  const auto facts = read_selected(pod);
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->tapped);
  EXPECT_TRUE(facts->declined);
  EXPECT_THAT(facts->detail, HasSubstr("sidetap.io/status"));
}

TEST(PodFacts, WhatTheWebhookDeclinesIsSaidInItsWords) {
  json host = stored_pod("a");
  host["spec"]["hostNetwork"] = true;
  const auto facts = read_selected(host);
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->declined);
  EXPECT_EQ(facts->detail, "the pod shares the node's network; a tap would capture the whole node");
  json opted_out = stored_pod("b");
  opted_out["metadata"]["annotations"]["sidetap.io/inject"] = "false";
  EXPECT_TRUE(read_selected(opted_out)->declined);
  EXPECT_THAT(read_selected(opted_out)->detail, HasSubstr("The pod opts out"));
  EXPECT_TRUE(read_selected(stored_pod("c", "kube-system"))->declined);
}

TEST(PodFacts, OnlyPodsThatRunAndAreSelectedCount) {
  EXPECT_FALSE(read_pod(stored_pod("a"), Selects::kNone, never));
  EXPECT_FALSE(read_pod(stored_pod("a"), Selects::kThoseAsked, never));
  for (const char* phase : {"Pending", "Succeeded", "Failed", "Unknown", ""}) {
    json pod = stored_pod("a");
    pod["status"]["phase"] = phase;
    EXPECT_FALSE(read_pod(pod, Selects::kAll, never)) << phase;
  }
  json leaving = stored_pod("a");
  leaving["metadata"]["deletionTimestamp"] = kCreated;
  EXPECT_FALSE(read_pod(leaving, Selects::kAll, never));
}

TEST(PodFacts, APodMayAskByAnnotationOrLabel) {
  json pod = stored_pod("a");
  pod["metadata"]["annotations"]["sidetap.io/inject"] = "true";
  ASSERT_TRUE(read_selected(pod, Selects::kThoseAsked));
  EXPECT_TRUE(read_selected(pod, Selects::kThoseAsked)->asks);
  EXPECT_FALSE(read_selected(pod)->declined);
  pod = stored_pod("a");
  pod["metadata"]["labels"]["sidetap.io/inject"] = "maybe";
  ASSERT_TRUE(read_selected(pod, Selects::kThoseAsked));
  EXPECT_TRUE(read_selected(pod, Selects::kThoseAsked)->declined);
  pod["metadata"]["annotations"]["sidetap.io/inject"] = "false";
  EXPECT_FALSE(read_selected(pod, Selects::kThoseAsked));
}

TEST(PodFacts, NamespacesByLabelAndSelector) {
  const auto selects_in = [](const json& object, const char* selector = "") {
    return read_namespace(object, *parse_label_selector(selector))->selects;
  };
  EXPECT_EQ(selects_in(stored_namespace("shop", "enabled")), Selects::kAll);
  EXPECT_EQ(selects_in(stored_namespace("shop", "")), Selects::kThoseAsked);
  EXPECT_EQ(selects_in(stored_namespace("shop", "disabled")), Selects::kNone);
  EXPECT_EQ(selects_in(stored_namespace("shop", "enabled"), "kubernetes.io/metadata.name!=shop"),
            Selects::kNone);
}

TEST(PodFacts, TheLabelIsAsOldAsItsManagersLastChange) {
  json object = stored_namespace("shop", "enabled");
  EXPECT_FALSE(read_namespace(object, {})->selected);
  json other = label_written("2026-05-05T05:05:05Z");
  other["fieldsV1"] = json::parse(R"({"f:metadata":{"f:labels":{"f:other":{}}}})");
  object["metadata"]["managedFields"] =
      json::array({label_written("2026-01-02T03:04:05Z"), label_written("2026-02-03T04:05:06Z"),
                   label_written("no time"), other});
  const auto facts = read_namespace(object, {});
  ASSERT_TRUE(facts->selected);
  EXPECT_EQ(identity::to_text(*facts->selected), "2026-02-03T04:05:06.000Z");
}

TEST(PodFacts, WhatHasNoNameIsNothing) {
  EXPECT_FALSE(name_of(json()));
  EXPECT_FALSE(name_of(json::parse(R"({"metadata":{"name":"a"}})")));
  EXPECT_FALSE(name_of(json::parse(R"({"metadata":{"name":"a","namespace":7}})")));
  EXPECT_FALSE(name_of(stored_pod(std::string(254, 'a'))));
  EXPECT_TRUE(name_of(stored_pod("a")));
  EXPECT_FALSE(read_namespace(json::array(), {}));
}

TEST(PodFacts, AnyJsonInAnyPlaceIsRead) {
  const json whole = tapped_pod("a");
  const json junk[] = {nullptr,
                       1,
                       "x",
                       true,
                       json::array({1, "x", nullptr}),
                       json::object(),
                       json::parse(R"([{"name":[],"controller":"yes","kind":{}}])"),
                       json::parse(R"({"container":{}})"),
                       std::string(100'000, '[')};
  for (const char* place :
       {"/metadata", "/metadata/annotations", "/metadata/annotations/sidetap.io~1status",
        "/metadata/labels", "/metadata/ownerReferences", "/metadata/creationTimestamp", "/spec",
        "/spec/containers", "/spec/initContainers", "/status"}) {
    for (const json& value : junk) {
      json pod = whole;
      pod[json::json_pointer(place)] = value;
      static_cast<void>(name_of(pod));
      static_cast<void>(read_selected(pod));
      static_cast<void>(read_namespace(pod, {}));
    }
  }
}

TEST(PodFacts, ATapThatWasAddedToTheRunningPodCountsWhileItRuns) {
  json pod = stored_pod("web-1");
  pod["spec"]["ephemeralContainers"] =
      json::parse(R"([{"name":"sidetap-2","env":[{"name":"STDIN_ORDERS","value":"on"}]}])");
  EXPECT_FALSE(read_selected(pod)->tapped);
  auto& status = pod["status"]["ephemeralContainerStatuses"];
  status = json::parse(R"([{"name":"sidetap-2","state":{"running":{"startedAt":"x"}}}])");
  EXPECT_TRUE(read_selected(pod)->tapped);
  status[0]["state"] = json::parse(R"({"terminated":{"exitCode":0}})");
  EXPECT_FALSE(read_selected(pod)->tapped);
  status = json::parse(R"([{"name":"debugger","state":{"running":{"startedAt":"x"}}}])");
  EXPECT_FALSE(read_selected(pod)->tapped);
}

}  // namespace
}  // namespace sidetap::webhook::coverage
