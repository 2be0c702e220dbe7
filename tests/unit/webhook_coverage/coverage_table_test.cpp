// Every cause, lists and changes of pods and namespaces in any order, and the bounds.
#include "webhook/coverage/coverage_table.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "webhook/identity/identity_text.h"

namespace sidetap::webhook::coverage {
namespace {

using testing::ElementsAre;

Time at(const char* text) { return *identity::parse_time(text); }

NamespaceFacts space_of(const std::string& name, Selects selects = Selects::kAll) {
  return {.name = name, .selects = selects, .selected = at("2026-01-02T00:00:00Z")};
}

PodFacts owned(const char* created = "2026-01-03T00:00:00Z") {
  PodFacts facts;
  facts.owner = "Deployment/web";
  facts.created = at(created);
  return facts;
}

PodFacts tapped() {
  PodFacts facts;
  facts.tapped = true;
  return facts;
}

class CoverageTableTest : public testing::Test {
 protected:
  CoverageTableTest() {
    table_.namespaces_begin();
    table_.set(space_of("shop"));
    table_.namespaces_end();
    table_.pods_begin();
    table_.pods_end();
  }
  std::size_t with(Cause cause) const {
    return table_.summary().by_cause.at(static_cast<std::size_t>(cause));
  }
  std::vector<std::string> listed() const {
    std::vector<std::string> names;
    for (const auto& one : table_.summary().listed) names.push_back(one.name_space + "/" + one.pod);
    return names;
  }
  CoverageTable table_{4};
};

TEST_F(CoverageTableTest, EveryCause) {
  PodFacts pod = owned();
  table_.set({"shop", "a"}, pod);
  EXPECT_EQ(with(Cause::kMissed), 1U);
  table_.set({"shop", "a"}, owned("2026-01-01T00:00:00Z"));
  EXPECT_EQ(with(Cause::kOlder), 1U);
  pod.of_job = true;
  table_.set({"shop", "a"}, pod);
  EXPECT_EQ(with(Cause::kJob), 1U);
  pod.owner.clear();
  table_.set({"shop", "a"}, pod);
  EXPECT_EQ(with(Cause::kBare), 1U);
  pod.declined = true;
  pod.detail = "why";
  table_.set({"shop", "a"}, pod);
  EXPECT_EQ(with(Cause::kDeclined), 1U);
  const Summary summary = table_.summary();
  EXPECT_EQ(summary.untapped, 1U);
  EXPECT_EQ(summary.tapped, 0U);
  ASSERT_EQ(summary.listed.size(), 1U);
  EXPECT_EQ(summary.listed[0].detail, "why");
  table_.set({"shop", "a"}, tapped());
  EXPECT_EQ(table_.summary().tapped, 1U);
  EXPECT_EQ(table_.summary().untapped, 0U);
  table_.set({"shop", "a"}, std::nullopt);
  EXPECT_EQ(table_.summary().tapped, 0U);
}

TEST_F(CoverageTableTest, WithoutATimeOfTheLabelNothingIsOlder) {
  NamespaceFacts space = space_of("shop");
  space.selected = std::nullopt;
  table_.set(space);
  table_.set({"shop", "a"}, owned("2020-01-01T00:00:00Z"));
  EXPECT_EQ(with(Cause::kMissed), 1U);
  PodFacts timeless = owned();
  timeless.created = std::nullopt;
  table_.set(space_of("shop"));
  table_.set({"shop", "a"}, timeless);
  EXPECT_EQ(with(Cause::kMissed), 1U);
}

TEST_F(CoverageTableTest, WithoutTheLabelOnlyPodsThatAskCount) {
  table_.set(space_of("other", Selects::kThoseAsked));
  PodFacts asking = owned();
  asking.asks = true;
  table_.set({"other", "a"}, owned());
  table_.set({"other", "b"}, asking);
  EXPECT_THAT(listed(), ElementsAre("other/b"));
}

TEST_F(CoverageTableTest, APodMayComeBeforeItsNamespace) {
  EXPECT_EQ(table_.selects("new"), Selects::kAll);
  table_.set({"new", "a"}, owned());
  EXPECT_THAT(listed(), ElementsAre());
  table_.namespaces_begin();
  table_.set(space_of("shop"));
  table_.namespaces_end();
  EXPECT_FALSE(table_.set(space_of("new")));
  EXPECT_THAT(listed(), ElementsAre("new/a"));
}

TEST_F(CoverageTableTest, ANamespaceThatSelectsMoreNeedsItsPodsAnew) {
  EXPECT_FALSE(table_.set(space_of("shop")));
  table_.set({"shop", "a"}, owned());
  EXPECT_FALSE(table_.set(space_of("shop", Selects::kThoseAsked)));
  EXPECT_THAT(listed(), ElementsAre());
  EXPECT_TRUE(table_.set(space_of("shop")));
  EXPECT_THAT(listed(), ElementsAre("shop/a"));
  EXPECT_FALSE(table_.set(space_of("shop", Selects::kNone)));
  EXPECT_EQ(table_.selects("shop"), Selects::kNone);
  EXPECT_TRUE(table_.set(space_of("shop", Selects::kThoseAsked)));
  EXPECT_THAT(listed(), ElementsAre());
}

TEST_F(CoverageTableTest, AListForgetsWhatItDoesNotName) {
  table_.set({"shop", "a"}, owned());
  table_.set({"shop", "b"}, owned());
  table_.pods_begin();
  table_.set({"shop", "a"}, owned());
  table_.pods_begin();  // the list began again
  table_.set({"shop", "b"}, owned());
  EXPECT_THAT(listed(), ElementsAre("shop/a", "shop/b"));
  table_.pods_end();
  EXPECT_THAT(listed(), ElementsAre("shop/b"));
  table_.namespaces_begin();
  table_.namespaces_end();
  EXPECT_THAT(listed(), ElementsAre());
}

TEST_F(CoverageTableTest, ANamespaceThatGoesTakesItsPodsAlong) {
  for (const char* name : {"a", "b", "c", "d"}) table_.set({"shop", name}, owned());
  table_.remove_namespace("shop");
  table_.remove_namespace("unknown");
  EXPECT_THAT(listed(), ElementsAre());
  table_.set(space_of("other"));
  table_.set({"other", "a"}, owned());
  EXPECT_TRUE(table_.summary().complete);
  EXPECT_THAT(listed(), ElementsAre("other/a"));
}

TEST_F(CoverageTableTest, TooManyPodsAreLeftOutUntilTheNextList) {
  for (const char* name : {"a", "b", "c", "d", "e"}) table_.set({"shop", name}, owned());
  EXPECT_EQ(table_.summary().untapped, 4U);
  EXPECT_FALSE(table_.summary().complete);
  table_.set({"shop", "d"}, tapped());  // a known one is not new
  EXPECT_EQ(table_.summary().tapped, 1U);
  table_.pods_begin();
  for (const char* name : {"a", "e"}) table_.set({"shop", name}, owned());
  table_.pods_end();
  EXPECT_THAT(listed(), ElementsAre("shop/a"));
  EXPECT_FALSE(table_.summary().complete);
  table_.pods_begin();
  for (const char* name : {"a", "e"}) table_.set({"shop", name}, owned());
  table_.pods_end();
  EXPECT_THAT(listed(), ElementsAre("shop/a", "shop/e"));
  EXPECT_TRUE(table_.summary().complete);
}

TEST_F(CoverageTableTest, ChangesAreCounted) {
  const auto before = table_.changes();
  table_.set({"shop", "a"}, std::nullopt);
  EXPECT_EQ(table_.changes(), before);
  table_.set({"shop", "a"}, owned());
  EXPECT_GT(table_.changes(), before);
}

TEST(CoverageTableBounds, TheListIsBoundedAndTheCountsAreNot) {
  CoverageTable table;
  table.set(space_of("shop"));
  for (std::size_t i = 0; i < Summary::kMostListed + 5; ++i)
    table.set({"shop", "web-" + std::to_string(i)}, owned());
  const Summary summary = table.summary();
  EXPECT_EQ(summary.listed.size(), Summary::kMostListed);
  EXPECT_EQ(summary.untapped, Summary::kMostListed + 5);
}

}  // namespace
}  // namespace sidetap::webhook::coverage
