#include "shared/config/options.h"

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::config {
namespace {

using testing::HasSubstr;

class Options : public testing::Test {
 protected:
  Options() {
    options_.add({.flag = "--snaplen",
                  .env = "SNAPLEN",
                  .value = "BYTES",
                  .fallback = "262144",
                  .help = "Bytes kept of each packet."},
                 number<std::uint32_t>(64, 262144, "bytes"), snaplen_);
    options_.add_switch(
        {.flag = "--quiet", .env = "QUIET", .value = "", .fallback = "", .help = "Say less."},
        quiet_);
  }
  Result<ParseResult> parse(std::vector<const char*> arguments) {
    return options_.try_parse(arguments,
                              [this](const std::string& name) -> std::optional<std::string> {
                                const auto found = environment_.find(name);
                                if (found == environment_.end()) return std::nullopt;
                                return found->second;
                              });
  }

  OptionSet options_{"prog run", "Runs."};
  std::map<std::string, std::string> environment_;
  std::uint32_t snaplen_ = 0;
  bool quiet_ = false;
};

TEST_F(Options, FlagBeatsEnvironmentBeatsDefault) {
  ASSERT_TRUE(parse({}));
  EXPECT_EQ(snaplen_, 262144U);
  environment_["SNAPLEN"] = "200";
  ASSERT_TRUE(parse({}));
  EXPECT_EQ(snaplen_, 200U);
  ASSERT_TRUE(parse({"--snaplen", "300"}));
  EXPECT_EQ(snaplen_, 300U);
  ASSERT_TRUE(parse({"--snaplen=400", "--quiet"}));
  EXPECT_EQ(snaplen_, 400U);
  EXPECT_TRUE(quiet_);
}

TEST_F(Options, EmptyEnvironmentVariableCountsAsNotSet) {
  environment_["SNAPLEN"] = "";
  ASSERT_TRUE(parse({}));
  EXPECT_EQ(snaplen_, 262144U);
}

TEST_F(Options, WrongValueNamesOptionValueAndWhatIsAccepted) {
  const auto flag = parse({"--snaplen", "63"});
  ASSERT_FALSE(flag);
  EXPECT_EQ(
      flag.error().text,
      "prog run: --snaplen: \"63\" is not accepted; accepted: a number from 64 to 262144 (bytes)");
  environment_["SNAPLEN"] = "many";
  const auto environment = parse({});
  ASSERT_FALSE(environment);
  EXPECT_THAT(environment.error().text, HasSubstr("environment variable SNAPLEN: \"many\""));
}

TEST_F(Options, UnknownFlagsAndStrayWordsAreErrors) {
  EXPECT_FALSE(parse({"--nope"}));
  EXPECT_FALSE(parse({"word"}));
  EXPECT_FALSE(parse({"--snaplen"}));
}

TEST_F(Options, HelpNamesFlagUnitDefaultAndEnvironment) {
  ASSERT_EQ(*parse({"--help"}), ParseResult::kHelp);
  EXPECT_THAT(options_.help(), HasSubstr("--snaplen BYTES"));
  EXPECT_THAT(options_.help(), HasSubstr("[default 262144; env SNAPLEN]"));
}

TEST_F(Options, RequiredOptionIsAskedFor) {
  std::string sensor;
  options_.add({.flag = "--sensor",
                .env = "SENSOR",
                .value = "HOST",
                .fallback = "",
                .help = "Sensor.",
                .required = true},
               any_text(), sensor);
  const auto result = parse({});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text, HasSubstr("--sensor is required"));
}

TEST(Parsers, SizesTakeSuffixesAndRefuseOverflow) {
  const auto size = byte_size(1, 1ULL << 40);
  EXPECT_EQ(*size("64K"), 65536U);
  EXPECT_EQ(*size("8Mi"), 8U << 20);
  EXPECT_FALSE(size("18446744073709551615G"));
  EXPECT_FALSE(size("8T"));
  EXPECT_FALSE(size("K"));
}

TEST(Parsers, DurationsTakeUnits) {
  const auto duration = duration_ms(1, 3'600'000);
  EXPECT_EQ(*duration("250ms"), 250);
  EXPECT_EQ(*duration("10"), 10'000);
  EXPECT_EQ(*duration("1h"), 3'600'000);
  EXPECT_FALSE(duration("2h"));
  EXPECT_FALSE(duration("-1s"));
  EXPECT_FALSE(duration("1 s"));
}

TEST(Parsers, ListsSayWhichItemIsWrong) {
  const auto list = cidr_list()("10.0.0.0/8,10.0.0.0/99");
  ASSERT_FALSE(list);
  EXPECT_THAT(list.error().text, HasSubstr("prefix length 99 is over 32"));
  EXPECT_FALSE(address_list()("10.0.0.0/8"));
  EXPECT_EQ(address_list()("10.0.0.1,fd00::1")->size(), 2U);
  EXPECT_FALSE(host_port_list(2003, 2)("a,b,c"));
  EXPECT_EQ(host_port_list(2003, 3)("a,b:1,[fd00::1]:2")->at(1).port, 1);
}

TEST_F(Options, WhatIsNotAskedForKeepsItsTargetWhateverItsValue) {
  std::string file = "as before";
  options_.add(
      {.flag = "--file", .env = "FILE", .value = "FILE", .help = "Read.", .required = true},
      readable_file(), file);
  environment_ = {{"SNAPLEN", "128"}, {"FILE", "/does/not/exist"}};
  const std::vector<const char*> arguments = {"--quiet"};
  const auto parsed = options_.try_parse(
      arguments, [this](const std::string& name) { return environment_.at(name); },
      [](const OptionSpec& spec) { return spec.env == "SNAPLEN"; });
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(snaplen_, 128U);
  EXPECT_FALSE(quiet_);
  EXPECT_EQ(file, "as before");
}

}  // namespace
}  // namespace sidetap::config
