// Label selectors as text: what is accepted, and what they match.
#include "webhook/coverage/label_selector.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sidetap::webhook::coverage {
namespace {

using nlohmann::json;

bool selects(const std::string& text, const json& labels) {
  const auto selector = parse_label_selector(text);
  EXPECT_TRUE(selector) << text;
  return selector && matches(*selector, labels);
}

TEST(LabelSelector, EmptyTextMatchesEverything) {
  EXPECT_TRUE(selects("", {{"a", "b"}}));
  EXPECT_TRUE(selects("  ", json()));
}

TEST(LabelSelector, EveryFormOfACondition) {
  const json labels{{"a", "b"}, {"x.io/c", "d"}, {"empty", ""}};
  for (const char* text :
       {"a=b", "a==b", "a = b", "a in (b)", "a in (x, b)", "a in(x,b)", "a", "!z", "z!=b", "a!=c",
        "z notin (b)", "x.io/c=d", "empty=", "empty in ()", "a=b,x.io/c in (c,d),!z"})
    EXPECT_TRUE(selects(text, labels)) << text;
  for (const char* text : {"a=c", "a!=b", "a in (c)", "a notin (b,c)", "z", "!a", "z=b", "a=b,z"})
    EXPECT_FALSE(selects(text, labels)) << text;
}

TEST(LabelSelector, WhatTheChartSays) {
  const std::string text =
      "kubernetes.io/metadata.name notin (kube-system,sidetap),"
      "pod-security.kubernetes.io/enforce notin (restricted,baseline)";
  EXPECT_TRUE(selects(text, {{"kubernetes.io/metadata.name", "shop"}}));
  EXPECT_FALSE(selects(text, {{"kubernetes.io/metadata.name", "sidetap"}}));
  EXPECT_FALSE(selects(text, {{"kubernetes.io/metadata.name", "shop"},
                              {"pod-security.kubernetes.io/enforce", "restricted"}}));
}

TEST(LabelSelector, WhatIsNoConditionIsRefusedWithAnExample) {
  for (const char* text :
       {",", "a=b,,c", "=b", "a in b", "a in (b", "a within (b)", "a b", "!", "a=b c", "a=b/c",
        "a>1", "(b)", "in (b)", "/a", "a/b/c", "a in (b) c", "\x01"}) {
    const auto selector = parse_label_selector(text);
    EXPECT_FALSE(selector) << text;
    if (!selector) {
      EXPECT_THAT(selector.error().text, testing::HasSubstr("a=b,c in (d,e),!f"));
    }
  }
}

TEST(LabelSelector, LabelsOfTheWrongKindAreNone) {
  EXPECT_FALSE(selects("a=b", json::array({"a"})));
  EXPECT_FALSE(selects("a", {{"a", 1}}));
  EXPECT_TRUE(selects("!a", {{"a", nullptr}}));
}

}  // namespace
}  // namespace sidetap::webhook::coverage
