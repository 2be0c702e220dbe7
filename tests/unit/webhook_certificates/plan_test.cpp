#include "webhook/certificates/plan.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace sidetap::certificates {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

/// Verifies like a TLS client that knows `authority` and receives `chain`.
bool verifies(const std::string& chain, const std::string& authority, TimePoint now) {
  const auto certificates = [](const std::string& text) {
    BIO* bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
    STACK_OF(X509)* list = sk_X509_new_null();
    while (X509* one = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) sk_X509_push(list, one);
    BIO_free(bio);
    return list;
  };
  STACK_OF(X509)* shown = certificates(chain);
  STACK_OF(X509)* trusted = certificates(authority);
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, sk_X509_value(trusted, 0));
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, sk_X509_value(shown, 0), shown);
  X509_STORE_CTX_set_time(context, 0, Clock::to_time_t(now));
  X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
  const bool good = X509_verify_cert(context) == 1;
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  sk_X509_pop_free(shown, X509_free);
  sk_X509_pop_free(trusted, X509_free);
  return good;
}

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

TEST_F(PlanTest, ClocksThatAreHoursApartDoNotMatter) {
  now_ += hours(23);
  settle();
  now_ -= hours(23);
  EXPECT_EQ(look().step, Step::kNothing);
  EXPECT_TRUE(verifies(state_.leaf.certificate, state_.authority.certificate, now_));
}

TEST_F(PlanTest, ALeafThatIsNotValidYetIsIssuedAnew) {
  settle();
  const Pair good = state_.leaf;
  state_.leaf = issue_leaf(state_.authority, names_, now_ + kDay * 2, kDay * 90).value();
  EXPECT_EQ(look().step, Step::kIssueLeaf);
  EXPECT_EQ(look().fault, "the leaf is not valid yet");
  const std::string authority = state_.authority.certificate;
  EXPECT_EQ(settle(), std::vector{Step::kIssueLeaf});
  EXPECT_EQ(state_.authority.certificate, authority);
  EXPECT_TRUE(verifies(state_.leaf.certificate, authority, now_));
  EXPECT_EQ(look().fault, "");
}

TEST_F(PlanTest, AnAuthorityThatIsNotValidYetIsMadeAnewAndStaysTrustedForWhoServesItsLeaf) {
  now_ += kDay * 2;
  settle();
  now_ -= kDay * 2;
  const std::string early = state_.authority.certificate;
  EXPECT_EQ(look().step, Step::kCreate);
  EXPECT_EQ(look().fault, "the authority is not valid yet");
  EXPECT_EQ(settle(), std::vector{Step::kCreate});
  EXPECT_TRUE(verifies(state_.leaf.certificate, state_.authority.certificate, now_));
  EXPECT_EQ(state_.bundle(), state_.authority.certificate + early);
  // The replica whose clock is ahead has nothing against it: they do not take turns for ever.
  now_ += kDay * 2;
  EXPECT_EQ(settle(), std::vector{Step::kDropPrevious});
}

TEST_F(PlanTest, ANextAuthorityThatIsNotValidYetIsMadeAnew) {
  settle();
  now_ += kDay * 365 * 4;
  settle();
  state_.next =
      make_authority("sidetap webhook CA", now_ + kDay * 2, policy_.authority_life).value();
  EXPECT_EQ(look().step, Step::kAddNext);
  EXPECT_EQ(look().fault, "the next authority is not valid yet");
  EXPECT_EQ(settle(), std::vector{Step::kAddNext});
}

TEST_F(PlanTest, WhatHasEndedIsNamed) {
  settle();
  now_ = leaf_end();
  EXPECT_EQ(look().fault, "the leaf has ended");
  now_ += policy_.authority_life;
  EXPECT_EQ(look().fault, "the authority has ended");
}

// The central property: a client with the bundle of any moment within the overlap trusts the served
// leaf.
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

// A pod knows the authority of the time of its injection for as long as it runs.
TEST_F(PlanTest, WhoKnowsTheOldAuthorityTrustsTheLeavesOfTheNewOneUntilTheOldOneEnds) {
  settle();
  const std::string first = state_.authority.certificate;
  now_ += kDay * 365 * 4;
  settle();
  now_ += policy_.overlap;
  EXPECT_EQ(settle(), std::vector{Step::kSwitch});
  EXPECT_TRUE(verifies(state_.leaf.certificate, first, now_));
  EXPECT_TRUE(verifies(state_.leaf.certificate, state_.authority.certificate, now_));
  now_ += kDay * 80;
  EXPECT_EQ(settle(), std::vector{Step::kIssueLeaf});
  EXPECT_TRUE(verifies(state_.leaf.certificate, first, now_));
  EXPECT_FALSE(verifies(state_.leaf.certificate,
                        make_authority("sidetap webhook CA", now_, kDay)->certificate, now_));
  now_ += kDay * 365;
  settle();
  EXPECT_EQ(rest_of_chain(state_.leaf.certificate, now_), "");
  EXPECT_TRUE(verifies(state_.leaf.certificate, state_.authority.certificate, now_));
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
