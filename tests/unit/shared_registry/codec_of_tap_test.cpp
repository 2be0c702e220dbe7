// The taps' messages, encoded and decoded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "tests/support/addresses.h"

namespace sidetap::registry {
namespace {

using testing::HasSubstr;

template <typename T>
T sent_and_read(const T& message) {
  return std::get<T>(decode_tap_message(encode(message)).value());
}

TEST(TapMessages, AreTheseTexts) {
  const State own{{ip("10.1.2.3"), ip("fd00::1")}, false};
  EXPECT_EQ(
      encode(Hello{own, kRules}),
      R"({"addresses":["10.1.2.3","fd00::1"],"forwarding":false,"type":"hello","version":1,"rules":2})");
  EXPECT_EQ(encode(State{own.addresses, true}),
            R"({"addresses":["10.1.2.3","fd00::1"],"forwarding":true,"type":"state"})");
  EXPECT_EQ(encode(Resync{}), R"({"type":"resync"})");
}

TEST(TapMessages, ComeBackAsTheyWere) {
  const State state{{ip("10.1.2.3"), ip("fd00::3")}, true};
  EXPECT_EQ(sent_and_read(Hello{state}), Hello{state});
  EXPECT_EQ(sent_and_read(Hello{state, kRules}), (Hello{state, kRules}));
  EXPECT_EQ(sent_and_read(state), state);
  EXPECT_EQ(sent_and_read(State{}), State{});
  EXPECT_EQ(sent_and_read(Resync{}), Resync{});
}

TEST(TapMessages, OfTheFutureAreIgnored) {
  EXPECT_EQ(decode_tap_message(R"({"type":"new"})").value(), TapMessage(Unknown{}));
  EXPECT_EQ(decode_tap_message(R"({"type":"resync","taps":7,"version":[{}]})").value(),
            TapMessage(Resync{}));
}

TEST(TapMessages, SayWhichVersionTheRegistrySpeaks) {
  for (const char* version : {"2", "0", "-1", "\"1\"", "1.5", "null", "[1]"}) {
    const auto hello = decode_tap_message(R"({"type":"hello","addresses":[],"forwarding":true,)"
                                          R"("version":)" +
                                          std::string(version) + "}");
    ASSERT_FALSE(hello) << version;
    EXPECT_THAT(hello.error().text, HasSubstr("version 1")) << version;
  }
}

TEST(TapMessages, ATapAppliesRulesOneUnlessItSaysOtherwise) {
  const auto rules = [](const std::string& member) {
    const auto hello = decode_tap_message(
        R"({"type":"hello","version":1,"addresses":[],"forwarding":true)" + member + "}");
    return std::get<Hello>(hello.value()).rules;
  };
  EXPECT_EQ(rules(""), 1U);
  EXPECT_EQ(rules(R"(,"rules":2)"), 2U);
  EXPECT_EQ(rules(R"(,"rules":99)"), 99U) << "a newer tap is welcome";
}

TEST(TapMessages, AddressesOverTheLimitAreLeftOutByTheTapAndRefusedByTheRegistry) {
  State many;
  for (std::uint32_t i = 0; i <= kMostTapAddresses; ++i) {
    many.addresses.push_back(net::IpAddress::v6(~0ULL, ~0ULL - i));
  }
  const State read = sent_and_read(many);
  EXPECT_EQ(read.addresses.size(), kMostTapAddresses);
  EXPECT_EQ(read.addresses.front(), many.addresses.front());

  std::string text = R"({"type":"state","forwarding":true,"addresses":["10.0.0.1")";
  for (std::size_t i = 0; i < kMostTapAddresses; ++i) text += R"(,"10.0.0.1")";
  EXPECT_FALSE(decode_tap_message(text + "]}"));
}

TEST(TapMessages, AreBounded) {
  const std::string tail = R"(,"type":"resync"})";
  const auto filled = [&](std::size_t bytes) {
    const std::string head = R"({"x":")";
    return head + std::string(bytes - head.size() - tail.size() - 1, 'x') + '"' + tail;
  };
  EXPECT_TRUE(decode_tap_message(filled(kMostTapMessageBytes)));
  EXPECT_FALSE(decode_tap_message(filled(kMostTapMessageBytes + 1)));
}

TEST(TapMessages, AreNestedToALimit) {
  const auto nested = [](std::size_t depth) {
    return R"({"type":"resync","x":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(decode_tap_message(nested(kMostDepth - 1)));
  EXPECT_FALSE(decode_tap_message(nested(kMostDepth)));
  EXPECT_FALSE(decode_tap_message(R"({"type":"resync","x":)" + std::string(16'000, '[')));
}

class NoTapMessage : public testing::TestWithParam<const char*> {};

TEST_P(NoTapMessage, IsAnError) { EXPECT_FALSE(decode_tap_message(GetParam())); }

INSTANTIATE_TEST_SUITE_P(
    TapMessages, NoTapMessage,
    testing::Values("", "{", "[]", "{}", "7", "null", "\"x\"", "{} {}", R"({"type":5})",
                    R"({"type":"hello"})",
                    R"({"type":"hello","version":2,"addresses":[],"forwarding":true})",
                    R"({"type":"hello","version":1,"rules":"2","addresses":[],"forwarding":true})",
                    R"({"type":"hello","version":1,"rules":-1,"addresses":[],"forwarding":true})",
                    R"({"type":"hello","version":1,"rules":[2],"addresses":[],"forwarding":true})",
                    R"({"type":"state","addresses":[]})",
                    R"({"type":"state","addresses":[],"forwarding":1})",
                    R"({"type":"state","addresses":[],"forwarding":true,"forwarding":1})",
                    R"({"type":"state","addresses":{},"forwarding":true})",
                    R"({"type":"state","addresses":[5],"forwarding":true})",
                    R"({"type":"state","addresses":[["10.0.0.1"]],"forwarding":true})",
                    R"({"type":"state","addresses":["10.0.0"],"forwarding":true})",
                    "{\"type\":\"state\xff\"}"));

}  // namespace
}  // namespace sidetap::registry
