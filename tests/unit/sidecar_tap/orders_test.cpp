#include "sidecar/tap/orders.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/base64.h"

namespace sidetap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A token with these claims, as an API server writes it.
std::string token_with(const std::string& claims) {
  std::string payload;
  append_base64(payload, claims);
  std::replace(payload.begin(), payload.end(), '+', '-');
  std::replace(payload.begin(), payload.end(), '/', '_');
  payload.erase(std::find(payload.begin(), payload.end(), '='), payload.end());
  return "eyJhbGciOiJSUzI1NiJ9." + payload + ".c2ln";
}

TEST(Orders, AreATokenATimeAndAnEnd) {
  EXPECT_EQ(std::get<TokenOrder>(*parse_order("token a.b-c_d.e")).token, "a.b-c_d.e");
  EXPECT_EQ(std::get<TimeOrder>(*parse_order("for 90s")).time, std::chrono::seconds(90));
  EXPECT_EQ(std::get<TimeOrder>(*parse_order("for 2h")).time, std::chrono::hours(2));
  EXPECT_TRUE(std::holds_alternative<StopOrder>(*parse_order("stop")));
}

TEST(Orders, OfOtherFormsAreRefusedWithoutBeingQuoted) {
  for (const std::string line :
       {"", "secret", "token", "token ", "token se cret", "token secret\x01", "token =secret",
        "for", "for secret", "for 0s", "for 900h", "stop secret", "STOP", "tokensecret"}) {
    const auto order = parse_order(line);
    ASSERT_FALSE(order) << line;
    EXPECT_THAT(order.error().text, Not(HasSubstr("secret")));
  }
  EXPECT_FALSE(parse_order("token " + std::string(kMostOrderBytes, 'x')));
}

std::vector<std::string> lines_of(const std::vector<std::string>& pieces) {
  OrderLines lines;
  std::vector<std::string> found;
  for (const std::string& piece : pieces)
    lines.feed(piece, [&](std::string_view line) { found.emplace_back(line); });
  return found;
}

TEST(OrderLines, AreWholeHoweverTheyCome) {
  EXPECT_THAT(lines_of({"tok", "en a\nfor", " 1h\r\n\n", "stop"}),
              ElementsAre("token a", "for 1h"));
  EXPECT_THAT(lines_of({"a\nb\nc\n"}), ElementsAre("a", "b", "c"));
}

TEST(OrderLines, AreBoundedAndTheNextOneIsRead) {
  const std::string much(kMostOrderBytes, 'x');
  EXPECT_THAT(lines_of({much, much, "\nstop\n"}), ElementsAre("", "stop"));
  EXPECT_THAT(lines_of({much + "x\nstop\n"}), ElementsAre("", "stop"));
}

TEST(Expiry, IsTheTokensClaim) {
  EXPECT_EQ(expiry_of(token_with(R"({"exp":1767362291,"aud":["sidetap"]})")),
            std::chrono::seconds(1'767'362'291));
}

TEST(Expiry, IsUnknownWhereTheTokenDoesNotSay) {
  for (const std::string& text :
       {std::string("opaque"), std::string("a.b"), std::string("a.!!.c"), token_with("{}"),
        token_with(R"({"exp":"soon"})"), token_with(R"({"exp":-1})"), token_with("[1]"),
        token_with(R"({"exp":9000000000000000000})")})
    EXPECT_FALSE(expiry_of(text)) << text;
}

}  // namespace
}  // namespace sidetap
