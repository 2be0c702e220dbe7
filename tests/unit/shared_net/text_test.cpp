#include "shared/net/text.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::net {
namespace {

using testing::ElementsAre;

std::vector<std::string> all_of(Items items) {
  std::vector<std::string> all;
  for (const std::string_view item : items) all.emplace_back(item);
  return all;
}
std::vector<std::string> items(std::string_view list) { return all_of(Items(list)); }

TEST(Items, AreWhatStandsBetweenCommas) {
  EXPECT_THAT(items("a,b,c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(items("a"), ElementsAre("a"));
}

TEST(Items, KeepWhatIsEmptyAndBlanks) {
  EXPECT_THAT(items(""), ElementsAre(""));
  EXPECT_THAT(items(","), ElementsAre("", ""));
  EXPECT_THAT(items("a,, b,"), ElementsAre("a", "", " b", ""));
}

TEST(Items, OfAListThatMayBeEmptyMayEndInAComma) {
  EXPECT_THAT(all_of(Items::if_any("")), ElementsAre());
  EXPECT_THAT(all_of(Items::if_any("a,b,")), ElementsAre("a", "b"));
  EXPECT_THAT(all_of(Items::if_any("a,,")), ElementsAre("a", ""));
  EXPECT_THAT(all_of(Items::if_any(",")), ElementsAre(""));
}

TEST(Texts, AreJoinedWithWhatStandsBetween) {
  EXPECT_EQ(joined(std::vector<std::string>{"a", "", "c"}), "a,,c");
  EXPECT_EQ(joined(std::vector<std::string_view>{"a", "b"}, ", "), "a, b");
  EXPECT_EQ(joined(std::vector<std::string>()), "");
}

TEST(Texts, LoseTheirEndsOnly) {
  EXPECT_EQ(trimmed("\t a b\r\n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
  EXPECT_EQ(trimmed(" a\n", " "), "a\n");
}

TEST(Texts, AreShortenedBetweenTwoCharacters) {
  EXPECT_EQ(shortened_text("abc", 3), "abc");
  EXPECT_EQ(shortened_text("abc", 2), "ab");
  EXPECT_EQ(shortened_text("a\xc3\xbc", 3), "a\xc3\xbc");
  EXPECT_EQ(shortened_text("a\xc3\xbc", 2), "a");
  EXPECT_EQ(shortened_text("\xe2\x82\xac", 2), "");
  EXPECT_EQ(shortened_text("\x80\x80\x80", 2), "") << "no UTF-8";
  EXPECT_EQ(shortened_text("abc", 0), "");
}

TEST(WholeNumber, IsAllOfTheText) {
  EXPECT_EQ(whole_number<std::uint16_t>("65535"), 65'535);
  EXPECT_EQ(whole_number<std::uint8_t>("ff", 16), 255);
  EXPECT_EQ(whole_number<int>("-1"), -1);
  for (const char* text : {"", " 1", "1 ", "1x", "x", "+1", "-1", "65536", "99999999999999999999"})
    EXPECT_EQ(whole_number<std::uint16_t>(text), std::nullopt) << text;
}

TEST(PercentEncodedText, IsDecodedUnlessAnEscapeIsIncompleteOrAControlCharacter) {
  EXPECT_EQ(percent_decoded("sho%70/a+b%2F%c3%A4"), "shop/a+b/\xc3\xa4");
  EXPECT_EQ(percent_decoded(""), "");
  for (const char* text : {"%", "a%4", "%zz", "%4z", "%-1", "%00", "%1f", "%7F"})
    EXPECT_EQ(percent_decoded(text), std::nullopt) << text;
}

TEST(TakenNumber, LeavesTheRest) {
  std::string_view text = "64K";
  EXPECT_EQ(take_number<unsigned>(text), 64U);
  EXPECT_EQ(text, "K");
  EXPECT_EQ(take_number<unsigned>(text), std::nullopt);
  EXPECT_EQ(text, "K") << "as it was";
}

TEST(WithoutControls, ReplacesWhatATerminalMightObey) {
  EXPECT_EQ(without_controls("a\tb\x1b[31m\x7f", ' '), "a b [31m ");
  EXPECT_EQ(without_controls("\xc2\x9b"
                             "31m \xc2\x80\xc2\x9f",
                             '?'),
            "?31m ??");
  EXPECT_EQ(without_controls("caf\xc3\xa9 \xc2\xa0 \xc2", '?'), "caf\xc3\xa9 \xc2\xa0 \xc2");
}

}  // namespace
}  // namespace sidetap::net
