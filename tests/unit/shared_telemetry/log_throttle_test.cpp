#include "shared/telemetry/log_throttle.h"

#include <gtest/gtest.h>

namespace sidetap::telemetry {
namespace {

using std::chrono::seconds;

TEST(LogThrottle, KeepsBackWhatIsTooMuchForAPeriodAndSaysHowMany) {
  LogThrottle throttle(2, seconds(10));
  const auto start = LogThrottle::Clock::time_point(seconds(1000));
  EXPECT_EQ(throttle.admit(start), 0u);
  EXPECT_EQ(throttle.admit(start + seconds(1)), 0u);
  EXPECT_EQ(throttle.admit(start + seconds(2)), std::nullopt);
  EXPECT_EQ(throttle.admit(start + seconds(9)), std::nullopt);
  EXPECT_EQ(throttle.admit(start + seconds(10)), 2u);
  EXPECT_EQ(throttle.admit(start + seconds(11)), 0u);
  EXPECT_EQ(throttle.admit(start + seconds(12)), std::nullopt);
}

}  // namespace
}  // namespace sidetap::telemetry
