// Which of the addresses that a tap claims count.
#include "webhook/registry/claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

sidetap::registry::State state(std::initializer_list<unsigned> hosts, bool forwarding) {
  sidetap::registry::State made;
  for (const unsigned n : hosts) made.addresses.push_back(host(n));
  made.forwarding = forwarding;
  return made;
}

TEST(Claim, ItsPodHasNotEndedWhileTheTapForwards) {
  Claim claim(host(1));
  sidetap::registry::State said = state({1}, true);
  said.ended = true;
  claim.say(said);
  EXPECT_FALSE(claim.ended());
  said.forwarding = false;
  claim.say(said);
  EXPECT_TRUE(claim.ended());
}

TEST(Claim, TheConnectionProvesItsSource) {
  Claim claim(host(1));
  claim.say(state({1, 2}, true));
  EXPECT_THAT(claim.proved(), ElementsAre(host(1)));
  EXPECT_TRUE(claim.wants_proof());
  claim.say(state({1}, true));
  EXPECT_FALSE(claim.wants_proof());
  EXPECT_EQ(claim.unproved(), 0U);
}

TEST(Claim, ProofHoldsForTheConnection) {
  Claim claim(host(1));
  claim.say(state({1, 2}, true));
  claim.prove({host(1), host(2)});
  EXPECT_FALSE(claim.wants_proof());
  claim.say(state({2}, false));
  claim.say(state({2}, true));
  EXPECT_THAT(claim.proved(), ElementsAre(host(2)));
  EXPECT_FALSE(claim.wants_proof());
}

TEST(Claim, NobodyIsAskedAboutATapThatIsIdle) {
  Claim claim(host(1));
  claim.say(state({2}, false));
  EXPECT_FALSE(claim.wants_proof());
  EXPECT_THAT(claim.proved(), IsEmpty());
}

TEST(Claim, WhatWasGivenUpIsNotAskedForAgainAndDoesNotCount) {
  Claim claim(host(1));
  claim.say(state({1, 2}, true));
  claim.give_up();
  EXPECT_FALSE(claim.wants_proof());
  EXPECT_EQ(claim.unproved(), 1U);
  claim.say(state({1, 2, 3}, true));
  EXPECT_TRUE(claim.wants_proof()) << "3 is new";
  claim.prove({host(3)});
  EXPECT_FALSE(claim.wants_proof());
  EXPECT_THAT(claim.proved(), ElementsAre(host(1), host(3)));
}

TEST(Claim, WhatIsNotClaimedAnyMoreIsForgotten) {
  Claim claim(host(1));
  claim.say(state({2}, true));
  claim.give_up();
  claim.say(state({3}, true));
  claim.give_up();
  claim.say(state({2}, true));
  EXPECT_TRUE(claim.wants_proof()) << "no more is kept than a tap may claim";
}

TEST(Claim, WithoutTokensEverythingIsProved) {
  Claim claim = Claim::of_anybody();
  claim.say(state({1, 2}, true));
  EXPECT_THAT(claim.proved(), ElementsAre(host(1), host(2)));
  EXPECT_FALSE(claim.wants_proof());
}

}  // namespace
}  // namespace sidetap::webhook::registry
