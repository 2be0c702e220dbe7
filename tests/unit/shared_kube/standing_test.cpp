// What a watch is worth while it comes and goes.
#include "shared/kube/standing.h"

#include <gtest/gtest.h>

namespace sidetap::kube {
namespace {

TEST(Standing, IsWorthNothingBeforeTheFirstWatch) {
  Standing standing;
  EXPECT_FALSE(standing.current());
  const auto fall = standing.fall();
  EXPECT_TRUE(fall.first);
  EXPECT_EQ(fall.grace, std::nullopt) << "there is nothing to expire";
  EXPECT_FALSE(standing.fall().first) << "told once";
  EXPECT_TRUE(standing.rise()) << "the failure was told";
  EXPECT_TRUE(standing.current());
  EXPECT_FALSE(standing.rise());
}

TEST(Standing, OutlivesAFailureForTheTimeOfGraceOnly) {
  Standing standing;
  standing.rise();
  const auto fall = standing.fall();
  ASSERT_TRUE(fall.grace);
  EXPECT_TRUE(standing.current());
  EXPECT_EQ(standing.fall().grace, std::nullopt) << "a further failure prolongs nothing";
  EXPECT_TRUE(standing.expire(*fall.grace));
  EXPECT_FALSE(standing.current());
  EXPECT_FALSE(standing.expire(*fall.grace)) << "once";
  EXPECT_EQ(standing.fall().grace, std::nullopt);
}

TEST(Standing, IsNotEndedByTheGraceOfAnEarlierFailure) {
  Standing standing;
  standing.rise();
  const auto early = standing.fall();
  ASSERT_TRUE(early.grace);
  standing.rise();
  EXPECT_FALSE(standing.expire(*early.grace)) << "it stands";
  const auto late = standing.fall();
  ASSERT_TRUE(late.grace);
  EXPECT_FALSE(standing.expire(*early.grace)) << "the later failure has a time of its own";
  EXPECT_TRUE(standing.current());
  EXPECT_TRUE(standing.expire(*late.grace));
}

TEST(Standing, CanBeForgottenAtOnce) {
  Standing standing;
  standing.rise();
  const auto fall = standing.fall();
  ASSERT_TRUE(fall.grace);
  standing.forget();
  EXPECT_FALSE(standing.current());
  EXPECT_FALSE(standing.expire(*fall.grace));
  standing.rise();
  EXPECT_TRUE(standing.current());
}

}  // namespace
}  // namespace sidetap::kube
