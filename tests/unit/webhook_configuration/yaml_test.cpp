#include "webhook/configuration/yaml.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::configuration {
namespace {

using testing::HasSubstr;

Tree read(const std::string& text) {
  const auto documents = parse_documents(text, "in");
  EXPECT_TRUE(documents) << documents.error().text;
  return documents && documents->trees.size() == 1 ? documents->trees[0] : Tree("no document");
}

std::string fault_of(const std::string& text) {
  const auto documents = parse_documents(text, "in");
  return documents ? "none" : documents.error().text;
}

TEST(Yaml, TakesPlainScalarsForWhatKubectlDoes) {
  EXPECT_EQ(read("[~, null, Null, NULL, ]"), Tree::parse("[null,null,null,null]"));
  EXPECT_EQ(read("[true, yes, On, y, false, NO, off, n]"),
            Tree::parse("[true,true,true,true,false,false,false,false]"));
  EXPECT_EQ(read("[1, -1, +1, 0x10, 0b11, 0o17, 017, 1_000]"),
            Tree::parse("[1,-1,1,16,3,15,15,1000]"));
  EXPECT_EQ(read("[1.5, -0.5, .5, 1e3]"), Tree::parse("[1.5,-0.5,0.5,1000.0]"));
  EXPECT_EQ(read("[a, 1.2.3, 10.0.0.0/8, 1m, -, .a, '1', \"true\", !!str 5]"),
            Tree::parse(R"(["a","1.2.3","10.0.0.0/8","1m","-",".a","1","true","5"])"));
}

TEST(Yaml, KeepsTheOrderOfKeysAndFollowsAliases) {
  EXPECT_EQ(read("b: &x {c: 1}\na: *x\nd: {<<: *x, e: 2}\n").dump(),
            R"({"b":{"c":1},"a":{"c":1},"d":{"e":2,"c":1}})");
}

TEST(Yaml, NamesThePlaceOfAFault) {
  EXPECT_THAT(fault_of("a: 1\nb: [\n"), HasSubstr("in: no YAML"));
  EXPECT_THAT(fault_of("a: 1\na: 2\n"), HasSubstr("\"a\" is there twice (line 2)"));
  EXPECT_THAT(fault_of("? [a]\n: 1\n"), HasSubstr("a key is not a text (line 1)"));
  EXPECT_THAT(fault_of("a: \xff\n"), HasSubstr("in: not UTF-8"));
  EXPECT_THAT(fault_of(std::string(300, '[') + std::string(300, ']')), HasSubstr("deep"));
}

TEST(Yaml, IsReadAsJsonWhereItIsJson) {
  EXPECT_TRUE(parse_documents(R"({"a": 1})", "in")->json);
  EXPECT_FALSE(parse_documents("{a: 1}", "in")->json);
  EXPECT_EQ(parse_documents("a: 1\n---\nb: 2\n", "in")->trees.size(), 2U);
}

/// What is written is read as it was.
void expect_kept(const Tree& tree) {
  const std::string text = to_yaml(tree);
  const auto documents = parse_documents(text, "out");
  ASSERT_TRUE(documents) << text << documents.error().text;
  ASSERT_EQ(documents->trees.size(), 1U) << text;
  EXPECT_EQ(documents->trees[0], tree) << text;
}

TEST(YamlOutput, IsReadAsItWas) {
  expect_kept(Tree::parse(R"({"a":[],"b":{},"c":[[1],[{"d":null}]],"e":{"f":[{"g":1,"h":2}]},
      "i":"","j":" x ","k":"a: b","l":"- a","m":"#","n":"yes","o":"0x1","p":"1.50","q":"a\nb\n",
      "r":"a\n\nb","s":"\n","t":"a\n\n","u":"\u0000\u0007","v":"null","w":"08","x":1e300,
      "y":"12:30:45","z":"2001-01-01","yes":"key","1":"key","":"key"})"));
  expect_kept(Tree("a\n  b\n"));
}

TEST(YamlOutput, WritesTextsBeyondAsciiAsTheyAre) {
  // Two surrogates in a row, as JSON escapes what lies beyond the first plane, are no text to YAML.
  const Tree tree = Tree::parse(R"({"smile":"\ud83d\ude00","k\ud83d\ude00":"z\u00e4\n\u4e2d\n",
      "controls":"\u0085\u00a0\u2028\u2029\ufeff\u200b\u007f\u009f"})");
  expect_kept(tree);
  EXPECT_THAT(to_yaml(tree), HasSubstr("smile: \"\xf0\x9f\x98\x80\""));
  EXPECT_EQ(to_yaml(tree).find("\\ud83d"), std::string::npos);
}

TEST(YamlOutput, KeepsNumbersThatNoTypeHolds) {
  EXPECT_EQ(shown(read("08")), "08");
  Tree both = read("[08, {a: 18446744073709551616}]");
  spellings_to_numbers(both);
  EXPECT_EQ(both, Tree::parse(R"([8.0, {"a": 18446744073709551616.0}])"));

  for (const char* number : {"18446744073709551615", "18446744073709551616", "-9223372036854775809",
                             "123456789012345678901234567890", "08", "-09", "0_9", "1.0"}) {
    const std::string text = "a: " + std::string(number) + "\n";
    EXPECT_EQ(to_yaml(read(text)), text);
  }
}

}  // namespace
}  // namespace sidetap::configuration
