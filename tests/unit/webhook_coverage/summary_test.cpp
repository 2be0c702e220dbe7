// The summary as the API gives it out.
#include "webhook/coverage/summary.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sidetap::webhook::coverage {
namespace {

TEST(CoverageSummary, AsJson) {
  Summary summary;
  summary.tapped = 7;
  summary.untapped = 2;
  summary.by_cause.at(static_cast<std::size_t>(Cause::kBare)) = 1;
  summary.by_cause.at(static_cast<std::size_t>(Cause::kDeclined)) = 1;
  summary.listed.push_back({"shop", "a", "", Cause::kBare, ""});
  summary.listed.push_back({"shop", "b", "Deployment/b", Cause::kDeclined, "a \xff byte"});
  const auto told = nlohmann::json::parse(json_of(summary));
  EXPECT_EQ(told["tapped"], 7);
  EXPECT_EQ(told["untapped"], 2);
  EXPECT_EQ(told["complete"], true);
  EXPECT_EQ(told["causes"],
            nlohmann::json::parse(R"({"declined":1,"older":0,"missed":0,"bare":1,"job":0})"));
  ASSERT_EQ(told["pods"].size(), 2U);
  EXPECT_EQ(told["pods"][0]["owner"], nullptr);
  EXPECT_EQ(told["pods"][0]["cause"], "bare");
  EXPECT_EQ(told["pods"][0]["remedy"], std::string(remedy_of(Cause::kBare)));
  EXPECT_EQ(told["pods"][1]["owner"], "Deployment/b");
  EXPECT_EQ(told["pods"][1]["detail"], "a \xEF\xBF\xBD byte");
}

TEST(CoverageSummary, WithoutPodsTheListIsEmpty) {
  EXPECT_EQ(nlohmann::json::parse(json_of({}))["pods"], nlohmann::json::array());
}

}  // namespace
}  // namespace sidetap::webhook::coverage
