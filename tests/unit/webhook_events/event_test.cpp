// Events as objects of the API.
#include "webhook/events/event.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/webhook_events/sample_event.h"

namespace sidetap::webhook::events {
namespace {

using testing::MatchesRegex;

std::string object_name(const Event& event) {
  return object_of(event, "replica-1")["metadata"]["name"].get<std::string>();
}

TEST(Event, AsAnObject) {
  Event event = sample_event();
  event.at = Time(std::chrono::milliseconds(1'767'323'045'678));
  auto object = object_of(event, "replica-1");
  EXPECT_THAT(object["metadata"]["name"].get<std::string>(),
              MatchesRegex("web-7d4b9\\.[0-9a-f]{16}"));
  object["metadata"].erase("name");
  EXPECT_EQ(object, nlohmann::json::parse(R"({
    "apiVersion":"v1","kind":"Event","metadata":{"namespace":"shop"},
    "involvedObject":{"apiVersion":"apps/v1","kind":"ReplicaSet","namespace":"shop",
                      "name":"web-7d4b9","uid":"u-web-7d4b9"},
    "type":"Warning","reason":"TapDeclined","message":"not injected: because",
    "firstTimestamp":"2026-01-02T03:04:05.678Z","lastTimestamp":"2026-01-02T03:04:05.678Z",
    "count":1,"source":{"component":"sidetap-webhook"},
    "reportingComponent":"sidetap.io/webhook","reportingInstance":"replica-1"})"));
  event.warning = false;
  EXPECT_EQ(object_of(event, "x")["type"], "Normal");
  EXPECT_EQ(path_of(event), "/api/v1/namespaces/shop/events");
}

TEST(Event, ReplicasGiveTheSameEventTheSameName) {
  const Event event = sample_event();
  Event later = event;
  later.at += std::chrono::hours(1);
  EXPECT_EQ(object_name(event), object_name(later));
  for (std::string Event::*part : {&Event::reason, &Event::message, &Event::occurrence}) {
    Event other = event;
    other.*part += "x";
    EXPECT_NE(object_name(event), object_name(other));
  }
  Event other = event;
  other.subject.uid += "x";
  EXPECT_NE(object_name(event), object_name(other));
}

TEST(Event, ItsNameIsAlwaysOneThatTheApiServerTakes) {
  for (const char* name : {"../../x", "Web", "a..b", "-a", "a.-b", "a-.b", "a/b", "", "---", "a b"})
    EXPECT_THAT(object_name(sample_event(name)), MatchesRegex("sidetap\\.[0-9a-f]{16}")) << name;
  EXPECT_THAT(object_name(sample_event("a.b-1-")), MatchesRegex("a\\.b-1\\.[0-9a-f]{16}"));
  const std::string name = object_name(sample_event(std::string(253, 'a')));
  EXPECT_LE(name.size(), 253U);
}

TEST(Event, WhatTheApiServerWouldRefuseIsNotValid) {
  EXPECT_TRUE(is_valid(sample_event()));
  for (std::string Subject::*part : {&Subject::api_version, &Subject::kind, &Subject::name_space,
                                     &Subject::name, &Subject::uid}) {
    Event event = sample_event();
    (event.subject.*part).clear();
    EXPECT_FALSE(is_valid(event));
    event.subject.*part = std::string(300, 'a');
    EXPECT_FALSE(is_valid(event));
  }
  for (const char* name_space : {"../kube-system", "a/b", "A", "a?x=y", "-a", "a-", "a.b"}) {
    Event event = sample_event();
    event.subject.name_space = name_space;
    EXPECT_FALSE(is_valid(event)) << name_space;
  }
}

}  // namespace
}  // namespace sidetap::webhook::events
