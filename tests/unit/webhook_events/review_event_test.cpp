// Which answers to reviews become events, by the webhook's real decisions.
#include "webhook/events/review_event.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/review_builder.h"

namespace sidetap::webhook::events {
namespace {

using nlohmann::json;
using testing::HasSubstr;

test::PodBuilder owned_pod() {
  return test::pod().set("/metadata/ownerReferences", json::array({{{"apiVersion", "apps/v1"},
                                                                    {"kind", "ReplicaSet"},
                                                                    {"name", "web-7d4b9"},
                                                                    {"uid", "u-1"},
                                                                    {"controller", true}}}));
}

TEST(ReviewEvent, ADeclinedPodsControllerIsTold) {
  const auto event = event_of(test::admit_pod(owned_pod().set("/spec/hostNetwork", true)));
  ASSERT_TRUE(event);
  EXPECT_TRUE(event->warning);
  EXPECT_EQ(event->reason, "TapDeclined");
  EXPECT_EQ(event->message,
            "not injected: the pod shares the node's network; a tap would capture the whole node");
  EXPECT_EQ(event->subject.api_version, "apps/v1");
  EXPECT_EQ(event->subject.kind, "ReplicaSet");
  EXPECT_EQ(event->subject.name_space, "shop");
  EXPECT_EQ(event->subject.name, "web-7d4b9");
  EXPECT_EQ(event->subject.uid, "u-1");
  EXPECT_TRUE(is_valid(*event));
}

TEST(ReviewEvent, EveryAnnotationThatIsNotAppliedIsTold) {
  const auto event = event_of(test::admit_pod(
      owned_pod().annotation("sidetap.io/snaplen", "x").annotation("sidetap.io/strange", "y")));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->reason, "TapAdjusted");
  EXPECT_THAT(event->message, HasSubstr("sidetap.io/snaplen \"x\" is ignored"));
  EXPECT_THAT(event->message, HasSubstr("; unknown annotation sidetap.io/strange"));
}

TEST(ReviewEvent, WhoeverGotTheWarningItselfIsNotTold) {
  EXPECT_FALSE(event_of(test::admit_pod(test::pod().set("/spec/hostNetwork", true))));
  auto not_controlled = owned_pod().set("/spec/hostNetwork", true);
  not_controlled.set("/metadata/ownerReferences/0/controller", false);
  EXPECT_FALSE(event_of(test::admit_pod(not_controlled)));
}

TEST(ReviewEvent, WhatWasAskedForIsNotTold) {
  EXPECT_FALSE(event_of(test::admit_pod(owned_pod())));
  EXPECT_FALSE(event_of(test::admit_pod(owned_pod().annotation("sidetap.io/inject", "false"))));
  EXPECT_FALSE(event_of(test::admit_pod(owned_pod(), admission::Entry::kPod)));
  EXPECT_FALSE(
      event_of(test::admit_pod(owned_pod().in("kube-system").set("/spec/hostNetwork", true))));
  EXPECT_FALSE(
      event_of(test::admit_pod(owned_pod().annotation("kubernetes.io/config.mirror", "x"))));
}

TEST(ReviewEvent, ADryRunTellsNobody) {
  json review = owned_pod().set("/spec/hostNetwork", true).review();
  review["request"]["dryRun"] = true;
  EXPECT_FALSE(event_of(
      admission::admit(review.dump(), admission::Entry::kNamespace, test::test_configuration())));
}

TEST(ReviewEvent, AnAnswerToSomethingElseIsNoEvent) {
  EXPECT_FALSE(
      event_of(admission::admit("{}", admission::Entry::kNamespace, test::test_configuration())));
}

}  // namespace
}  // namespace sidetap::webhook::events
