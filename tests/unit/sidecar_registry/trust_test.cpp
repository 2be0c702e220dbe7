#include "sidecar/registry/trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

TEST(Trust, BeginsWithTheFirst) { EXPECT_THAT(Trust("first").candidates(), ElementsAre("first")); }

TEST(Trust, TriesTheNewestAndKeepsTheFirst) {
  Trust trust("first");
  trust.hear("next");
  EXPECT_THAT(trust.candidates(), ElementsAre("next", "first"));
}

TEST(Trust, AWrongOneDoesNotPushOutTheLastThatWorked) {
  Trust trust("first");
  trust.worked("first");
  trust.hear("next");
  trust.worked("next");
  trust.hear("wrong");
  EXPECT_THAT(trust.candidates(), ElementsAre("wrong", "next", "first"));
  trust.hear("next");
  EXPECT_THAT(trust.candidates(), ElementsAre("next", "first"));
}

TEST(Trust, ReplicasInTheMiddleOfARotationDoNotPushEachOtherOut) {
  Trust trust("first");
  trust.hear("new");
  for (const char* shown : {"new", "old", "new", "old"}) trust.worked(shown);
  EXPECT_THAT(trust.candidates(), ElementsAre("new", "old", "first"));
}

TEST(Trust, AllTogetherAreOneText) {
  Trust trust("first");
  trust.worked("first");
  EXPECT_EQ(trust.all(), "first\n");
  trust.hear("next");
  EXPECT_EQ(trust.all(), "next\nfirst\n");
}

TEST(Trust, KeepsFew) {
  Trust trust("first");
  for (int i = 0; i < 100; ++i) {
    trust.hear(std::to_string(i));
    trust.worked(std::to_string(i));
  }
  trust.hear("wrong");
  EXPECT_THAT(trust.candidates(), SizeIs(Trust::kMostCandidates));
}

}  // namespace
}  // namespace sidetap::registry
