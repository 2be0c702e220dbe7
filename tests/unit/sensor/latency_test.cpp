#include "tests/sensor/latency.h"

#include <gtest/gtest.h>

namespace sidetap::sensor {
namespace {

TEST(LatencyHistogram, IsEmptyAtFirst) {
  EXPECT_EQ(LatencyHistogram().percentile(99), 0u);
  EXPECT_EQ(LatencyHistogram().most(), 0u);
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int value = 1; value <= 10; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(50), 5u);
  EXPECT_EQ(histogram.percentile(100), 10u);
}

TEST(LatencyHistogram, LargeOnesAreRightToASixteenth) {
  for (const std::int64_t value :
       {17L, 31L, 32L, 33L, 1000L, 65'535L, 1'000'000L, 3'600'000'000L}) {
    LatencyHistogram histogram;
    histogram.add(value);
    histogram.add(value * 4);
    const auto got = static_cast<double>(histogram.percentile(50));
    EXPECT_GE(got, static_cast<double>(value));
    EXPECT_LE(got, static_cast<double>(value) * 17 / 16) << value;
  }
}

TEST(LatencyHistogram, OneInAHundredIsBeyondThe99thPercentile) {
  LatencyHistogram histogram;
  for (int i = 0; i < 99; ++i) histogram.add(10);
  histogram.add(100'000);
  EXPECT_EQ(histogram.percentile(99), 10u);
  EXPECT_EQ(histogram.most(), 100'000u);
}

TEST(LatencyHistogram, ClocksThatDifferDoNoHarm) {
  LatencyHistogram histogram;
  histogram.add(-5);
  histogram.add(std::int64_t{1} << 62);
  EXPECT_EQ(histogram.percentile(50), 0u);
  EXPECT_GT(histogram.percentile(100), 0u);
}

}  // namespace
}  // namespace sidetap::sensor
