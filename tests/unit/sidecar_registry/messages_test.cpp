#include "sidecar/registry/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::registry {
namespace {

using testing::ElementsAre;

net::IpAddress ip(std::string_view text) { return net::IpAddress::parse(text).value(); }

TEST(RegistryMessages, TheTapsOwnAsOnTheWire) {
  const std::vector<net::IpAddress> own = {ip("10.1.2.3"), ip("fd00::1")};
  EXPECT_EQ(
      hello_text(own, false),
      R"({"addresses":["10.1.2.3","fd00::1"],"forwarding":false,"type":"hello","version":1})");
  EXPECT_EQ(state_text(own, true),
            R"({"addresses":["10.1.2.3","fd00::1"],"forwarding":true,"type":"state"})");
  EXPECT_EQ(
      state_text(own, false, true),
      R"({"addresses":["10.1.2.3","fd00::1"],"ended":true,"forwarding":false,"type":"state"})");
  EXPECT_EQ(resync_text(), R"({"type":"resync"})");
}

TEST(RegistryMessages, SnapshotAndChange) {
  const auto snapshot = parse_message(R"({"type":"snapshot","version":7,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(snapshot) << snapshot.error().text;
  EXPECT_EQ(std::get<Snapshot>(*snapshot).version, 7U);
  EXPECT_THAT(std::get<Snapshot>(*snapshot).taps, ElementsAre(ip("10.0.0.2")));
  const auto change = parse_message(
      R"({"type":"change","from":7,"version":9,"add":["fd00::2"],"remove":["10.0.0.2"],"new":1})");
  ASSERT_TRUE(change) << change.error().text;
  EXPECT_EQ(std::get<Change>(*change).from, 7U);
  EXPECT_EQ(std::get<Change>(*change).version, 9U);
  EXPECT_THAT(std::get<Change>(*change).add, ElementsAre(ip("fd00::2")));
  EXPECT_THAT(std::get<Change>(*change).remove, ElementsAre(ip("10.0.0.2")));
}

TEST(RegistryMessages, ServicesAreToldOrNot) {
  const auto without = parse_message(R"({"type":"snapshot","version":7,"taps":[]})");
  EXPECT_FALSE(std::get<Snapshot>(*without).services);
  const auto with =
      parse_message(R"({"type":"snapshot","version":7,"taps":[],"services":["10.96.0.1"]})");
  EXPECT_EQ(std::get<Snapshot>(*with).services, std::vector{ip("10.96.0.1")});
  const auto change = parse_message(
      R"({"add_services":["10.96.0.1"],"type":"change","from":7,"version":9,"add":[],"remove":[],
          "deep":{"add":["10.0.0.9"],"services":[[1]]}})");
  ASSERT_TRUE(change) << change.error().text;
  EXPECT_THAT(std::get<Change>(*change).add, testing::IsEmpty());
  EXPECT_THAT(std::get<Change>(*change).add_services, ElementsAre(ip("10.96.0.1")));
  EXPECT_THAT(std::get<Change>(*change).remove_services, testing::IsEmpty());
}

TEST(RegistryMessages, TheLastOfSeveralMembersCounts) {
  const auto twice =
      parse_message(R"({"type":"snapshot","version":7,"taps":["10.0.0.1"],"taps":["10.0.0.2"]})");
  EXPECT_THAT(std::get<Snapshot>(*twice).taps, ElementsAre(ip("10.0.0.2")));
}

TEST(RegistryMessages, TheRest) {
  EXPECT_EQ(std::get<CaBundle>(*parse_message(R"({"type":"ca","bundle":"PEM"})")).pem, "PEM");
  EXPECT_EQ(std::get<Refused>(*parse_message(R"({"type":"refused","reason":"no"})")).reason, "no");
  EXPECT_TRUE(std::holds_alternative<Unknown>(*parse_message(R"({"type":"of the future"})")));
}

TEST(RegistryMessages, WhatNestsWithoutEndIsRefused) {
  const auto message = [](std::size_t depth) {
    return R"({"type":"snapshot","version":1,"taps":[],"x":)" + std::string(depth, '[') +
           std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(parse_message(message(100)));
  EXPECT_FALSE(parse_message(message(200)));
  EXPECT_FALSE(parse_message(message(60'000)));
}

class Malformed : public testing::TestWithParam<const char*> {};

TEST_P(Malformed, IsAnError) { EXPECT_FALSE(parse_message(GetParam())); }

INSTANTIATE_TEST_SUITE_P(
    RegistryMessages, Malformed,
    testing::Values("", "[]", "7", "{", R"({"version":1})", R"({"type":7})",
                    R"({"type":"snapshot","version":1})", R"({"type":"snapshot","taps":[]})",
                    R"({"type":"snapshot","version":-1,"taps":[]})",
                    R"({"type":"snapshot","version":1,"taps":{}})",
                    R"({"type":"snapshot","version":1,"taps":[1]})",
                    R"({"type":"snapshot","version":1,"taps":[["10.0.0.1"]]})",
                    R"({"type":"snapshot","version":1,"taps":[],"services":7})",
                    R"({"type":"snapshot","version":1,"taps":[],"services":[7]})",
                    R"({"type":"snapshot","version":1,"taps":["10.0.0.0/8"]})",
                    R"({"type":"change","from":1,"version":2,"add":[]})",
                    R"({"type":"change","from":"1","version":2,"add":[],"remove":[]})",
                    R"({"type":"ca"})", R"({"type":"ca","bundle":[]})"));

}  // namespace
}  // namespace sidetap::registry
