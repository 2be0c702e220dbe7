// What operators see of the VNIs of namespaces.
#include "sidecar/delivery/vni_table.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(VniTable, ShowsEachNamespaceOnce) {
  telemetry::MetricsRegistry metrics;
  VniTable table(metrics);
  testing::internal::CaptureStdout();
  for (int i = 0; i < 3; ++i) table.note("shop", 5'402'793);
  table.note("web", 100);
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_THAT(metrics.text(),
              HasSubstr("sidetap_vxlan_vni{namespace=\"shop\",vni=\"5402793\"} 1\n"));
  EXPECT_THAT(metrics.text(), HasSubstr("sidetap_vxlan_vni{namespace=\"web\",vni=\"100\"} 1\n"));
  EXPECT_EQ(count_of(log, "VNI of a namespace"), 2U) << log;
  EXPECT_THAT(log, Not(HasSubstr("share a VNI")));
}

TEST(VniTable, TellsOfNamespacesThatShareANumber) {
  telemetry::MetricsRegistry metrics;
  VniTable table(metrics);
  table.note("team-2161", 10'540'851);
  testing::internal::CaptureStdout();
  table.note("team-28790", 10'540'851);
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_THAT(log, HasSubstr("share a VNI"));
  EXPECT_THAT(log, HasSubstr("team-2161"));
  EXPECT_THAT(metrics.text(), HasSubstr("namespace=\"team-28790\""));
}

TEST(VniTable, IsBounded) {
  telemetry::MetricsRegistry metrics;
  VniTable table(metrics);
  testing::internal::CaptureStdout();
  for (std::uint32_t i = 0; i < VniTable::kMostRows + 10; ++i)
    table.note("n" + std::to_string(i), 4'096 + i);
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_EQ(count_of(metrics.text(), "sidetap_vxlan_vni{"), VniTable::kMostRows);
  EXPECT_EQ(count_of(log, "too many namespaces"), 1U);
}

}  // namespace
}  // namespace sidetap
