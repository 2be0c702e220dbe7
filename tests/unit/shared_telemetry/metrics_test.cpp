#include "shared/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

namespace sidetap::telemetry {
namespace {

constexpr std::string_view kHelp = "Helps.";

TEST(Metrics, ExposeCountersHistogramsAndValuesReadAtScrape) {
  MetricsRegistry registry;
  const MetricSpec counter{"t_requests_total", MetricType::kCounter, kHelp};
  const MetricSpec histogram{"t_seconds", MetricType::kHistogram, kHelp, {0.1, 1.0}};
  const MetricSpec gauge{"t_live", MetricType::kGauge, kHelp};
  registry.counter(counter, {{"outcome", "ok"}}).Increment();
  registry.counter(counter, {{"outcome", "ok"}}).Increment();
  registry.histogram(histogram).Observe(0.5);
  HotCounter hot;
  hot.add(5);
  registry.expose(gauge, {{"kind", "x"}}, [&] { return static_cast<double>(hot.value()); });
  const std::string text = registry.text();
  EXPECT_THAT(text, testing::HasSubstr("t_requests_total{outcome=\"ok\"} 2"));
  EXPECT_THAT(text, testing::HasSubstr("t_seconds_bucket{le=\"1\"} 1"));
  EXPECT_THAT(text, testing::HasSubstr("t_live{kind=\"x\"} 5"));
  EXPECT_THAT(text, testing::HasSubstr("# HELP t_live Helps."));
}

}  // namespace
}  // namespace sidetap::telemetry
