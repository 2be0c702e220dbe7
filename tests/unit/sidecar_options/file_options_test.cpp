// Capture files, as an operator sets them.
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/options/options.h"

namespace sidetap {
namespace {

config::ParseResult parse_files(std::initializer_list<const char*> arguments, RunOptions& options) {
  std::vector<const char*> all = {"--output", "pcap", "--pcap-dir", "/tmp"};
  all.insert(all.end(), arguments);
  const auto nothing_set = [](const std::string&) { return std::optional<std::string>(); };
  return parse_run_options(all, nothing_set, options);
}

TEST(FileOptions, LeaveAFileAnyAgeByThemselves) {
  RunOptions options;
  EXPECT_EQ(parse_files({}, options), config::ParseResult::kRun);
  EXPECT_EQ(options.output.files.file_age_ms, 0);
}

TEST(FileOptions, BoundTheAgeOfAFile) {
  RunOptions options;
  EXPECT_EQ(parse_files({"--pcap-file-age", "15m"}, options), config::ParseResult::kRun);
  EXPECT_EQ(options.output.files.file_age_ms, 900'000);
}

TEST(FileOptions, RefuseAnAgeThatIsNoTimeInOneLine) {
  RunOptions options;
  testing::internal::CaptureStderr();
  EXPECT_EQ(parse_files({"--pcap-file-age", "soon"}, options), config::ParseResult::kError);
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_NE(line.find("--pcap-file-age"), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
}

}  // namespace
}  // namespace sidetap
