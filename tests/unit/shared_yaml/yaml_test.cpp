#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/yaml/documents.h"

namespace sidetap::yaml {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Documents documents_of(const std::string& text, Repeated repeated = Repeated::kLast) {
  auto documents = read_documents(text, repeated);
  EXPECT_TRUE(documents) << documents.error().text;
  return documents ? std::move(*documents) : Documents();
}

Tree read(const std::string& text) {
  const auto documents = documents_of(text);
  if (documents.all.size() != 1) return "not one document";
  EXPECT_EQ(documents.all[0].fault, "") << text;
  return documents.all[0].tree;
}

/// The fault as an operator reads it, for a file named "in" in which no key may occur twice.
std::string fault_of(const std::string& text) {
  const auto documents = read_documents(text, Repeated::kRefuse);
  if (!documents) return "in: " + documents.error().text;
  for (const Document& document : documents->all)
    if (!document.fault.empty()) return "in: " + document.fault;
  return "none";
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
  EXPECT_TRUE(documents_of(R"({"a": 1})").json);
  EXPECT_FALSE(documents_of("{a: 1}").json);
  EXPECT_EQ(documents_of("a: 1\n---\nb: 2\n").all.size(), 2U);
}

// Cases in which the YAML library differs from kubectl.
TEST(Yaml, ReadsTheEscapesOfYaml) {
  EXPECT_EQ(read(R"(a: "x\_y\Nz\L\P\e\'\x41")"),
            Tree::parse(R"({"a": "x\u00a0y\u0085z\u2028\u2029\u001b'A"})"));
  EXPECT_THAT(fault_of("a: 1\nb: \"\\/\"\n"), HasSubstr("unknown escape character (line 2)"));
}

TEST(Yaml, KeepsTheLineEndsOfTexts) {
  EXPECT_EQ(read("a: \" \t\n\n  \"\nb: 'x\n\n\n  y\n\n  '\n"),
            Tree::parse(R"({"a": "\n", "b": "x\n\ny\n"})"));
  EXPECT_EQ(read("a: >+\n  x\n\n\nb: |+\n  y\n\n\nc: >-\n  z\n\n"),
            Tree::parse(R"({"a": "x\n\n\n", "b": "y\n\n\n", "c": "z"})"));
  EXPECT_EQ(read("a: |\n  x"), Tree::parse(R"({"a": "x\n"})")) << "kubectl ends the last line";
  EXPECT_EQ(read("a: |\r\n  x\r\n  y\r\n"), Tree::parse(R"({"a": "x\ny\n"})"));
}

TEST(Yaml, AcceptsAnchorsAndTagsBeforeEveryText) {
  EXPECT_EQ(read("a:\n- &x |\n  text\n- !!str >\n  5\n- *x\n"),
            Tree::parse(R"({"a": ["text\n", "5\n", "text\n"]})"));
}

TEST(Yaml, SkipsAByteOrderMarkBeforeEachDocument) {
  const auto documents = documents_of(
      "\xef\xbb\xbf"
      "a: 1\n---\n\xef\xbb\xbf"
      "b: 2\n");
  ASSERT_EQ(documents.all.size(), 2U);
  EXPECT_EQ(documents.all[0].tree, Tree::parse(R"({"a": 1})"));
  EXPECT_EQ(documents.all[1].tree, Tree::parse(R"({"b": 2})"));
}

TEST(Yaml, ReadsUtf16ByItsMark) {
  using namespace std::string_literals;
  EXPECT_EQ(read("\xff\xfe"
                 "a\0:\0 \0\x3d\xd8\x00\xde"s),
            Tree::parse(R"({"a": "\ud83d\ude00"})"));
  EXPECT_EQ(read("\xfe\xff\0a\0:\0 \xd8\x3d"s), Tree::parse(R"({"a": "\ufffd"})"));
}

TEST(Yaml, FollowsTags) {
  EXPECT_EQ(read("[!!binary aGk=, !!int '0x10', !!float 1, !own 5, ! 5, !!bool yes]"),
            Tree::parse(R"(["hi", 16, 1.0, "5", "5", true])"));
  EXPECT_EQ(read("a: !!binary |\n  //8\n  =\n"), Tree::parse(R"({"a": "\ufffd\ufffd"})"));
  EXPECT_THAT(fault_of("a: !!int b\n"), HasSubstr("cannot decode !!str `b` as a !!int (line 1)"));
  EXPECT_THAT(fault_of("a: !!binary b\n"), HasSubstr("base64"));
}

TEST(Yaml, MakesTextsOfKeys) {
  EXPECT_EQ(read("{yes: 1, 0x10: 2, 1e3: 3, 1.50: 4, 1234567.0: 5, .inf: 6, -0.00001: 7}"),
            Tree::parse(R"({"true": 1, "16": 2, "1000": 3, "1.5": 4, "1.234567e+06": 5, ".inf": 6,
                            "-1e-05": 7})"));
  EXPECT_THAT(fault_of("~: 1\n"), HasSubstr("a key is not a text"));
  EXPECT_THAT(fault_of("18446744073709551615: 1\n"), HasSubstr("a key is not a text"));
}

TEST(Yaml, MergesInOrder) {
  EXPECT_EQ(read("a: &a {k: 1}\nb: {k: 2, <<: *a}\nc: {<<: *a, k: 3}\n"),
            Tree::parse(R"({"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 3}})"));
  EXPECT_EQ(read("- &a {k: 1}\n- &b {k: 2, l: 2}\n- <<: [*a, *b, {m: 3}]\n")[2],
            Tree::parse(R"({"m": 3, "k": 1, "l": 2})"));
  EXPECT_EQ(read("{'<<': 1}"), Tree::parse(R"({"<<": 1})"));
  EXPECT_THAT(fault_of("a: &a 1\nb: {<<: *a}\n"), HasSubstr("<< merges mappings only (line 2)"));
  EXPECT_THAT(fault_of("a: &a [{b: 1}]\nc: {<<: *a}\n"), HasSubstr("<< merges mappings only"));
}

TEST(Yaml, TakesTheLastOfAKeyUnlessItIsRefused) {
  EXPECT_EQ(read("a: 1\nb: 2\na: 3\n").dump(), R"({"a":3,"b":2})");
  EXPECT_EQ(read(R"({"a": 1, "a": 2})"), Tree::parse(R"({"a": 2})"));
  EXPECT_THAT(fault_of("{\n\"a\": 1,\n\"a\": 2}"), HasSubstr("\"a\" is there twice (line 3)"));
  std::string many;
  for (int i = 0; i < 100; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(fault_of(many), "none");
  EXPECT_THAT(fault_of(many + "k50: 2\n"), HasSubstr("\"k50\" is there twice (line 101)"));
}

TEST(Yaml, RefusesWhatKubectlRefuses) {
  EXPECT_THAT(fault_of("%YAML 1.2\n"), HasSubstr("no YAML"));
  EXPECT_THAT(fault_of("a: [b?c]\n"), HasSubstr("in quotes"));
  EXPECT_THAT(fault_of("a: .nan\n"), HasSubstr(".nan"));
  EXPECT_EQ(read("{a: .inf, a: 1}"), Tree::parse(R"({"a": 1})"));
  EXPECT_THAT(fault_of("a: \x01\n"), HasSubstr("control characters are not allowed (line 1)"));
  EXPECT_THAT(fault_of("a: *b\n"), HasSubstr("unknown anchor 'b' referenced (line 1)"));
  EXPECT_THAT(fault_of("a: &a [*a]\n"), HasSubstr("contains itself"));
}

TEST(Yaml, StaysBounded) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 0; j < 8; ++j) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_THAT(fault_of(bomb), HasSubstr("too large"));
  std::string text = "a: &a \"" + std::string(1 << 20, 'x') + "\"\nb:\n";
  for (int i = 0; i < 100; ++i) text += "- *a\n- 1\n";
  EXPECT_THAT(fault_of(text), HasSubstr("too large"));
  std::string nested;
  for (int i = 0; i < 150; ++i) nested += "[&a" + std::to_string(i) + " ";
  nested = "- " + nested + std::string(150, ']') + "\n- [[[[[";
  for (int i = 0; i < 50; ++i) nested += '[';
  EXPECT_THAT(fault_of(nested + "*a0" + std::string(55, ']') + "\n"), HasSubstr("deep"));
  EXPECT_THAT(fault_of("{\"a\": " + std::string(300, '[')), HasSubstr("deep"));
}

TEST(Documents, AreCutWhereKubectlCutsThem) {
  const auto documents = documents_of("---\n---\na: 1\n--- # why\r\n\n# b\n---\nc: |\n  ---\n");
  std::vector<std::string> texts;
  for (const Document& document : documents.all)
    texts.push_back(std::to_string(document.line) + document.tree.dump());
  EXPECT_THAT(texts, ElementsAre("1null", R"(3{"a":1})", "5null", R"(8{"c":"---\n"})"));
}

TEST(Documents, KeepTheTextOfOneThatHasAFaultAndGoOn) {
  const auto documents = documents_of(
      "a: 1\n---\nkind: Pod\nmetadata: {name: x}\nspec: [\n---\nb: 2\n--- {c: 3}\n---\nd: 4\n");
  ASSERT_EQ(documents.all.size(), 4U);
  EXPECT_EQ(documents.all[0].tree, Tree::parse(R"({"a": 1})"));
  EXPECT_THAT(documents.all[1].fault, AllOf(StartsWith("no YAML: "), HasSubstr("(line ")));
  EXPECT_EQ(documents.all[1].text, "kind: Pod\nmetadata: {name: x}\nspec: [\n");
  EXPECT_EQ(documents.all[1].tree["metadata"]["name"], "x");
  EXPECT_THAT(documents.all[2].fault, HasSubstr("\"{c: 3}\" (line 8)"));
  EXPECT_EQ(documents.all[2].text, "b: 2\n--- {c: 3}\n");
  EXPECT_EQ(documents.all[3].tree, Tree::parse(R"({"d": 4})"));
}

TEST(Documents, OfJsonFollowEachOther) {
  const auto stream = documents_of("{\"a\": 1}\n{\"b\": 2}{\"c\": 3}\n");
  EXPECT_TRUE(stream.json);
  ASSERT_EQ(stream.all.size(), 3U);
  EXPECT_EQ(stream.all[2].tree, Tree::parse(R"({"c": 3})"));
  const auto mixed = documents_of("{\"a\": 1}\n---\nb: 2\n");
  EXPECT_FALSE(mixed.json);
  ASSERT_EQ(mixed.all.size(), 2U);
  EXPECT_EQ(mixed.all[1].tree, Tree::parse(R"({"b": 2})"));
  EXPECT_THAT(fault_of("{\"a\": 1}{\"b\": 2}\n---\nc: 3\n"), HasSubstr("not JSON (line 2)"));
}

TEST(Documents, OfJsonTakeALoneSurrogateAsKubectlDoes) {
  EXPECT_EQ(read(R"({"a": "\ud800x\udc00\\ud800", "b": "\ud83d\ude00"})"),
            Tree::parse(R"({"a": "\ufffdx\ufffd\\ud800", "b": "\ud83d\ude00"})"));
  EXPECT_THAT(fault_of(R"({"a": 1e400})"), HasSubstr("a number is beyond every type"));
}

TEST(Documents, TellTheLinesOfTheirKeys) {
  Lines lines;
  ASSERT_TRUE(read_documents("a:\n  b:\n  - c: 1\n    d: 2\n", Repeated::kRefuse, &lines));
  EXPECT_THAT(lines, ElementsAre(std::pair("a", 1U), std::pair("a.b", 2U),
                                 std::pair("a.b[0].c", 3U), std::pair("a.b[0].d", 4U)));
  lines.clear();
  ASSERT_TRUE(read_documents("{\n\"a\": [\n{\"b\": 1}]}", Repeated::kRefuse, &lines));
  EXPECT_THAT(lines, ElementsAre(std::pair("a", 2U), std::pair("a[0].b", 3U)));
}

TEST(Numbers, BecomeWhatJsonCarries) {
  Tree tree = read("[1e3, 1.5, 08, -0.0, 1e30, 9223372036854775808]");
  as_json_numbers(tree);
  EXPECT_EQ(tree.dump(), "[1000,1.5,8,0,1e+30,9223372036854775808]");
}

/// What is written is read as it was.
void expect_kept(const Tree& tree) {
  const std::string text = to_yaml(tree);
  const auto documents = documents_of(text);
  ASSERT_EQ(documents.all.size(), 1U) << text;
  EXPECT_EQ(documents.all[0].fault, "") << text;
  EXPECT_EQ(documents.all[0].tree, tree) << text;
}

TEST(YamlOutput, IsReadAsItWas) {
  expect_kept(Tree::parse(R"({"a":[],"b":{},"c":[[1],[{"d":null}]],"e":{"f":[{"g":1,"h":2}]},
      "i":"","j":" x ","k":"a: b","l":"- a","m":"#","n":"yes","o":"0x1","p":"1.50","q":"a\nb\n",
      "r":"a\n\nb","s":"\n","t":"a\n\n","u":"\u0000\u0007","v":"null","w":"08","x":1e300,
      "y":"12:30:45","z":"2001-01-01","yes":"key","1":"key","":"key"})"));
  expect_kept(Tree("a\n  b\n"));
  expect_kept(Tree::object(
      {{std::string(2000, 'k'), 1}, {"a", Tree::array({{{std::string(1500, 'l'), "x"}}})}}));
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
  as_json_numbers(both);
  EXPECT_EQ(both, Tree::parse(R"([8.0, {"a": 18446744073709551616.0}])"));

  for (const char* number : {"18446744073709551615", "18446744073709551616", "-9223372036854775809",
                             "123456789012345678901234567890", "08", "-09", "0_9", "1.0"}) {
    const std::string text = "a: " + std::string(number) + "\n";
    EXPECT_EQ(to_yaml(read(text)), text);
  }
}

}  // namespace
}  // namespace sidetap::yaml
