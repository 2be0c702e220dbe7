#include "shared/json_members.h"

#include <gtest/gtest.h>

namespace sidetap {
namespace {

using Json = nlohmann::json;

TEST(JsonMembers, AreNullWhereThereAreNone) {
  const Json object = Json::parse(R"({"a":{"b":1},"c":[2]})");
  EXPECT_EQ(member(member(object, "a"), "b"), 1);
  EXPECT_TRUE(member(object, "x").is_null());
  EXPECT_TRUE(member(member(object, "x"), "y").is_null());
  EXPECT_TRUE(member(member(object, "c"), "0").is_null());
  EXPECT_TRUE(member(Json("text"), "a").is_null());
}

TEST(JsonMembers, AreEmptyTextsWhereTheyAreNoTexts) {
  const Json object = Json::parse(R"({"text":"t","number":7,"null":null})");
  EXPECT_EQ(text_of(object, "text"), "t");
  EXPECT_EQ(text_of(object, "number"), "");
  EXPECT_EQ(text_of(object, "null"), "");
  EXPECT_EQ(text_of(Json(), "text"), "");
}

TEST(JsonMembers, AreFoundInATreeThatKeepsItsOrder) {
  const auto object = nlohmann::ordered_json::parse(R"({"b":"1","a":"2"})");
  EXPECT_EQ(text_of(object, "a"), "2");
}

}  // namespace
}  // namespace sidetap
