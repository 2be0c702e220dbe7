#include "webhook/certificates/plan.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::certificates {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

class PlanTest : public testing::Test {
 protected:
  static constexpr hours kDay{24};

  Plan look() const { return plan(state_, names_, now_, policy_); }
  /// Does whatever is to be done, as replicas would; the steps in their order.
  std::vector<Step> settle() {
    std::vector<Step> steps;
    while (look().step != Step::kNothing && steps.size() < 10) {
      steps.push_back(look().step);
      state_ = carry_out(steps.back(), state_, names_, now_, policy_).value();
    }
    return steps;
  }
  TimePoint leaf_end() const { return read_facts(state_.leaf.certificate)->not_after; }

  State state_;
  std::vector<std::string> names_{"hook.ns.svc", "hook.ns"};
  Policy policy_;
  TimePoint now_ = Clock::from_time_t(1'800'000'000);
};

TEST_F(PlanTest, OutOfNothingEverythingIsMade) {
  EXPECT_EQ(settle(), std::vector{Step::kCreate});
  EXPECT_TRUE(is_signed_by(state_.leaf.certificate, state_.authority.certificate));
  EXPECT_EQ(state_.bundle(), state_.authority.certificate);
  EXPECT_EQ(leaf_end(), now_ + kDay * 90);
}

TEST_F(PlanTest, TheNextStepIsDueAtTwoThirdsOfTheLeaf) {
  settle();
  const TimePoint due = look().due;
  EXPECT_GT(due, now_ + kDay * 60 - minutes(10));
  EXPECT_LT(due, now_ + kDay * 60 + minutes(10));
  now_ = due - minutes(1);
  EXPECT_EQ(look().step, Step::kNothing);
  now_ = due;
  const std::string authority = state_.authority.certificate;
  EXPECT_EQ(settle(), std::vector{Step::kIssueLeaf});
  EXPECT_EQ(state_.authority.certificate, authority);
  EXPECT_EQ(leaf_end(), now_ + kDay * 90);
}

TEST_F(PlanTest, ALeafThatDoesNotServeIsIssuedAnew) {
  settle();
  const State good = state_;
  state_.leaf = {};
  EXPECT_EQ(look().step, Step::kIssueLeaf);
  state_ = good;
  state_.leaf.key = state_.authority.key;
  EXPECT_EQ(look().step, Step::kIssueLeaf);
  state_ = good;
  names_.push_back("renamed.ns.svc");
  EXPECT_EQ(look().step, Step::kIssueLeaf);
  names_.pop_back();
  state_.leaf =
      issue_leaf(make_authority("sidetap webhook CA", now_, kDay).value(), names_, now_, kDay)
          .value();
  EXPECT_EQ(look().step, Step::kIssueLeaf);
}

TEST_F(PlanTest, AnAuthorityThatCannotSignIsMadeAnew) {
  settle();
  const State good = state_;
  state_.authority.key.clear();
  EXPECT_EQ(look().step, Step::kCreate);
  state_ = good;
  state_.authority = state_.leaf;
  EXPECT_EQ(look().step, Step::kCreate);
  state_ = good;
  now_ += policy_.authority_life + kDay;
  EXPECT_EQ(look().step, Step::kCreate);
}

TEST_F(PlanTest, AnAuthorityWhoseKeyIsLostStaysTrustedUntilNoLeafOfItIsServed) {
  settle();
  const std::string first = state_.authority.certificate;
  state_.authority.key.clear();
  EXPECT_EQ(settle(), std::vector{Step::kCreate});
  EXPECT_EQ(state_.bundle(), state_.authority.certificate + first);
  EXPECT_EQ(look().due, now_ + policy_.overlap);
  now_ += policy_.overlap;
  EXPECT_EQ(settle(), std::vector{Step::kDropPrevious});
}

TEST_F(PlanTest, WhatIsNoAuthorityOrHasEndedIsNotTrustedAnyLonger) {
  settle();
  const State good = state_;
  for (const std::string& certificate : {std::string("no certificate"), good.leaf.certificate}) {
    state_ = good;
    state_.authority.certificate = certificate;
    settle();
    EXPECT_EQ(state_.bundle(), state_.authority.certificate);
  }
  state_ = good;
  now_ += policy_.authority_life + kDay;
  settle();
  EXPECT_EQ(state_.bundle(), state_.authority.certificate);
}

// The heart of it: whoever holds the bundle of any moment within the overlap trusts the leaf
// served.
TEST_F(PlanTest, ThroughTenYearsEveryLeafIsTrustedByBundlesOfTheOverlap) {
  settle();
  std::vector<std::pair<TimePoint, State>> history;
  std::set<Step> seen;
  const TimePoint end = now_ + kDay * 3650;
  while (now_ < end) {
    for (const Step step : settle()) seen.insert(step);
    history.emplace_back(now_, state_);
    now_ = std::min(look().due, now_ + kDay * 15);
    if (history.size() > 1) {
      // The leaf that some replica still serves for a moment, against the bundle of now; and the
      // leaf of now against the bundle that some API server still has.
      const State& before = history[history.size() - 2].second;
      for (const auto& [leaf, bundle] :
           {std::pair(before.leaf, state_), std::pair(state_.leaf, before)}) {
        const bool trusted = is_signed_by(leaf.certificate, bundle.authority.certificate) ||
                             is_signed_by(leaf.certificate, bundle.next.certificate) ||
                             is_signed_by(leaf.certificate, bundle.previous);
        ASSERT_TRUE(trusted);
      }
    }
    ASSERT_GT(leaf_end(), now_);
  }
  EXPECT_THAT(seen, testing::ElementsAre(Step::kIssueLeaf, Step::kAddNext, Step::kSwitch,
                                         Step::kDropPrevious));
}

TEST_F(PlanTest, AnAuthorityChangesInThreeStepsAnOverlapApart) {
  settle();
  const std::string first = state_.authority.certificate;
  now_ += kDay * 365 * 4;
  EXPECT_EQ(look().step, Step::kIssueLeaf);
  EXPECT_EQ(settle(), (std::vector{Step::kIssueLeaf, Step::kAddNext}));
  EXPECT_EQ(state_.bundle(), first + state_.next.certificate);
  EXPECT_TRUE(is_signed_by(state_.leaf.certificate, first));

  EXPECT_EQ(look().due, now_ + policy_.overlap);
  now_ += policy_.overlap;
  const std::string second = state_.next.certificate;
  EXPECT_EQ(settle(), std::vector{Step::kSwitch});
  EXPECT_EQ(state_.bundle(), second + first);
  EXPECT_TRUE(is_signed_by(state_.leaf.certificate, second));

  EXPECT_EQ(look().due, now_ + policy_.overlap);
  now_ += policy_.overlap;
  EXPECT_EQ(settle(), std::vector{Step::kDropPrevious});
  EXPECT_EQ(state_.bundle(), second);
}

TEST_F(PlanTest, AnExpiredAuthorityGivesWayToTheNextAtOnce) {
  settle();
  now_ += kDay * 365 * 4;
  settle();
  now_ += kDay * 366;
  EXPECT_EQ(look().step, Step::kSwitch);
  settle();
  EXPECT_TRUE(is_signed_by(state_.leaf.certificate, state_.authority.certificate));
}

}  // namespace
}  // namespace sidetap::certificates
