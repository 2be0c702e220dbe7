#include "webhook/json/text.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sidetap::json {
namespace {

TEST(JsonPointer, EscapesTildeBeforeSlash) {
  EXPECT_EQ(pointer_step("sidetap.io/status"), "sidetap.io~1status");
  EXPECT_EQ(pointer_step("a~1/b"), "a~01~1b");
}

TEST(JsonWriter, WritesWhatAParserReadsBack) {
  std::string text;
  JsonWriter json(text);
  std::string every_control;
  for (char c = 0; c < 0x20; ++c) every_control += c;
  json.begin_object().member("a", "1\"\\").key("b").begin_array().number(-5).boolean(true);
  json.begin_object().end_object().begin_array().end_array().raw("null").end_array();
  json.member("k\n", every_control + "\x7f\xc3\xa4").end_object();
  const auto read = nlohmann::json::parse(text);
  EXPECT_EQ(read["a"], "1\"\\");
  EXPECT_EQ(read["b"], nlohmann::json::parse("[-5,true,{},[],null]"));
  EXPECT_EQ(read["k\n"], every_control + "\x7f\xc3\xa4");
}

}  // namespace
}  // namespace sidetap::json
