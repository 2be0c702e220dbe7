// JSON with bounds: what would overflow a stack later on is no value.
#include "shared/read_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap {
namespace {

std::string nested(std::size_t depth, const std::string& open = "[",
                   const std::string& close = "]") {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += "1";
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(ReadJson, ReadsWhatIsWithinTheBound) {
  EXPECT_TRUE(read_json(nested(kMostJsonDepth)));
  EXPECT_EQ(*read_json(R"({"a":[1,{"b":null}]})"), nlohmann::json({{"a", {1, {{"b", nullptr}}}}}));
}

TEST(ReadJson, RefusesWhatNestsDeeper) {
  for (const std::size_t depth :
       {kMostJsonDepth + 1, std::size_t{60'000}, std::size_t{1'000'000}}) {
    const auto read = read_json(nested(depth));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().text, "nested deeper than 128 levels");
    EXPECT_FALSE(read_json(nested(depth, R"({"a":)", "}")));
  }
}

TEST(ReadJson, BracketsInTextsAreText) {
  const std::string brackets(1'000, '[');
  EXPECT_TRUE(read_json("[\"" + brackets + "\"]"));
  EXPECT_TRUE(read_json("[\"\\\"" + brackets + "\\\\\"]"));
  EXPECT_FALSE(nests_deeper("\"" + brackets + "\"", 1));
  EXPECT_TRUE(nests_deeper("\"\\\\\"" + brackets, 1)) << "the text ends before them";
}

TEST(ReadJson, DepthIsOfWhatIsOpenNotOfWhatWas) {
  std::string list = "[";
  for (int i = 0; i < 1'000; ++i) list += "[[]],";
  EXPECT_TRUE(read_json(list + "[]]"));
}

TEST(ReadJson, WhatIsNoJsonIsAnError) {
  for (const char* text : {"", "{", "]", "\"", "\"\\", "hello", "\xff", "[1] 2"}) {
    const auto read = read_json(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().text, "not JSON");
  }
}

}  // namespace
}  // namespace sidetap
