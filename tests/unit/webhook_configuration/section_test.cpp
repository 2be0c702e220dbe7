#include "webhook/configuration/section.h"

#include <cstdint>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::configuration {
namespace {

using testing::ElementsAre;
using testing::Optional;

/// The line that reading comes to; empty: none.
template <typename Read>
std::string fault_of(const std::string& json, Read&& read) {
  const Tree tree = Tree::parse(json);
  try {
    Section section(tree, "c.yaml", "");
    read(section);
    section.finish();
  } catch (const Fault& fault) {
    return fault.text;
  }
  return "";
}

TEST(Section, KeepsTheDefaultWhereAKeyIsMissingOrNull) {
  std::string text = "as it was";
  std::uint32_t number = 7;
  bool flag = true;
  EXPECT_EQ(fault_of(R"({"text":null,"flag":null})",
                     [&](Section& section) {
                       section.text("text", text);
                       section.number("number", number, 0, 9);
                       section.boolean("flag", flag);
                       EXPECT_FALSE(section.section("part"));
                       EXPECT_FALSE(section.texts("texts"));
                     }),
            "");
  EXPECT_EQ(text, "as it was");
  EXPECT_EQ(number, 7U);
  EXPECT_TRUE(flag);
}

TEST(Section, ReadsEachKind) {
  std::string text;
  std::string list;
  std::string more;
  std::uint32_t number = 0;
  bool flag = false;
  EXPECT_EQ(fault_of(R"({"text":5,"list":["a",1],"more":"a,b","number":9,"flag":true,
                         "texts":["x"]})",
                     [&](Section& section) {
                       section.text("text", text);
                       section.list("list", list, {});
                       section.list("more", more, {});
                       section.number("number", number, 0, 9);
                       section.boolean("flag", flag);
                       EXPECT_THAT(section.texts("texts"), Optional(ElementsAre("x")));
                     }),
            "");
  EXPECT_EQ(text, "5");
  EXPECT_EQ(list, "a,1");
  EXPECT_EQ(more, "a,b");
  EXPECT_EQ(number, 9U);
  EXPECT_TRUE(flag);
}

TEST(Section, NamesFilePathValueAndWhatIsAccepted) {
  std::string text;
  std::uint32_t number = 0;
  bool flag = false;
  const auto read_text = [&](Section& section) { section.text("a", text); };
  EXPECT_EQ(fault_of(R"({"a":[1]})", read_text), "c.yaml: a: [1]: accepted: a text");
  EXPECT_EQ(fault_of(R"({"a":true})", read_text), "c.yaml: a: true: accepted: a text");
  EXPECT_EQ(fault_of(R"({"a":1.5})", read_text),
            "c.yaml: a: 1.5: accepted: a text: put it in quotes");
  EXPECT_EQ(fault_of(R"({"a":"x"})",
                     [&](Section& section) {
                       section.text("a", text, one_of({"b", "c"}));
                     }),
            "c.yaml: a: \"x\": accepted: b, c");
  for (const char* value : {"2", "10", "-1", "18446744073709551615", "5.0", "\"5\"", "[]"})
    EXPECT_EQ(fault_of(std::string(R"({"a":)") + value + "}",
                       [&](Section& section) { section.number("a", number, 3, 9); }),
              std::string("c.yaml: a: ") + value + ": accepted: a number from 3 to 9");
  EXPECT_EQ(fault_of(R"({"a":"true"})", [&](Section& section) { section.boolean("a", flag); }),
            "c.yaml: a: \"true\": accepted: true, false");
  EXPECT_EQ(fault_of(R"({"a":"x"})", [&](Section& section) { section.texts("a"); }),
            "c.yaml: a: \"x\": accepted: a list of texts");
  EXPECT_EQ(fault_of(R"({"a":{}})", [&](Section& section) { section.section_list("a"); }),
            "c.yaml: a: {}: accepted: a list of mappings");
  EXPECT_EQ(fault_of("7", [](Section&) {}), "c.yaml: 7: accepted: a mapping of keys to values");
}

TEST(Section, ReadsNumbersOfAnySize) {
  std::uint64_t number = 0;
  const auto read = [&](Section& section) {
    section.number("a", number, 1, std::numeric_limits<std::uint64_t>::max());
  };
  EXPECT_EQ(fault_of(R"({"a":18446744073709551615})", read), "");
  EXPECT_EQ(number, std::numeric_limits<std::uint64_t>::max());
  for (const char* value : {"0", "-1", "-9223372036854775808", "18446744073709551616", "1.0"})
    EXPECT_THAT(fault_of(std::string(R"({"a":)") + value + "}", read),
                testing::HasSubstr("a number from 1 to 18446744073709551615"));
}

TEST(Section, NamesThePathOfWhatIsNested) {
  EXPECT_EQ(fault_of(R"({"a":{"b":[{"c":1},{"d":1}]}})",
                     [](Section& section) {
                       auto part = section.section("a");
                       for (Section& one : part->section_list("b")) {
                         std::string text;
                         one.text("c", text);
                         one.finish();
                       }
                     }),
            "c.yaml: a.b[1].d: unknown key; accepted: c");
  EXPECT_EQ(
      fault_of(R"({"a":{"b":7}})", [](Section& section) { section.section("a")->section("b"); }),
      "c.yaml: a.b: 7: accepted: a mapping of keys to values");
  EXPECT_EQ(fault_of(R"({"a":{"b":7}})",
                     [](Section& section) { section.section("a")->fail("", "7", "more"); }),
            "c.yaml: a: 7: accepted: more");
}

TEST(Section, TakesAMappingForAListOfOne) {
  for (const char* json : {R"({"a":{"b":1}})", R"({"a":[{"b":1}]})"})
    EXPECT_EQ(fault_of(json,
                       [](Section& section) {
                         auto all = section.sections("a");
                         ASSERT_EQ(all.size(), 1U);
                         EXPECT_NE(all[0].take("b"), nullptr);
                       }),
              "");
}

TEST(Section, NamesEachAcceptedKeyOnce) {
  EXPECT_EQ(fault_of(R"({"x":1})",
                     [](Section& section) {
                       section.take("a");
                       section.take("b");
                       section.take("a");
                     }),
            "c.yaml: x: unknown key; accepted: a, b");
}

TEST(Section, ShortensALongValue) {
  const std::string fault =
      fault_of(R"({"a":[")" + std::string(500, 'x') + R"("]})", [](Section& section) {
        std::string text;
        section.text("a", text);
      });
  EXPECT_LT(fault.size(), 150U);
  EXPECT_THAT(fault, testing::HasSubstr("..."));
}

}  // namespace
}  // namespace sidetap::configuration
