#include "shared/telemetry/log.h"

#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sidetap::telemetry {
namespace {

TEST(Log, JsonLinesSurviveAnyBytes) {
  testing::internal::CaptureStderr();
  init_log(LogFormat::kJson, LogLevel::kInfo);
  info("pod admitted", {{"namespace", "a\"b\n\xff"}, {"count", 7}, {"native", true}});
  const std::string line = testing::internal::GetCapturedStderr();
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["message"], "pod admitted");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["count"], 7);
  EXPECT_EQ(json["native"], true);
  EXPECT_EQ(json["namespace"], "a\"b\n\xEF\xBF\xBD");
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line an event";
}

TEST(Log, TextKeepsEachEventOnOneLine) {
  testing::internal::CaptureStderr();
  init_log(LogFormat::kText, LogLevel::kWarn);
  info("not shown");
  warn("sensor away", {{"sensor", "10.0.0.1:2003\nforged line"}});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, testing::HasSubstr("sensor away sensor=\"10.0.0.1:2003\\nforged line\""));
  EXPECT_THAT(line, testing::Not(testing::HasSubstr("not shown")));
}

TEST(Log, LevelsHaveTheWordsThatItWrites) {
  testing::internal::CaptureStderr();
  init_log(LogFormat::kJson, LogLevel::kDebug);
  const auto words = log_level_words();
  for (const auto& [word, level] : words) log(level, "an event");
  std::istringstream lines(testing::internal::GetCapturedStderr());
  std::string line;
  for (const auto& [word, level] : words) {
    ASSERT_TRUE(std::getline(lines, line)) << word;
    const auto written = nlohmann::json::parse(line)["level"].get<std::string>();
    EXPECT_THAT(written, testing::StartsWith(word));
  }
}

}  // namespace
}  // namespace sidetap::telemetry
