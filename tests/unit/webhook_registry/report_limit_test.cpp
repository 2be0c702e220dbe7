#include "webhook/registry/report_limit.h"

#include <gtest/gtest.h>

namespace sidetap::webhook::registry {
namespace {

TEST(ReportLimit, AdmitsTwoWithinAnySecond) {
  ReportLimit limit;
  const auto at = [](int milliseconds) {
    return ReportLimit::Time(std::chrono::hours(1)) + std::chrono::milliseconds(milliseconds);
  };
  EXPECT_TRUE(limit.admits(at(0)));
  EXPECT_TRUE(limit.admits(at(900)));
  EXPECT_FALSE(limit.admits(at(999)));
  EXPECT_TRUE(limit.admits(at(1'000)));
  EXPECT_FALSE(limit.admits(at(1'100)));
  EXPECT_TRUE(limit.admits(at(1'900)));
  EXPECT_TRUE(limit.admits(at(9'000)));
}

}  // namespace
}  // namespace sidetap::webhook::registry
