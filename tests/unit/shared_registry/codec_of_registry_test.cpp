// The registry's messages, encoded and decoded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "tests/support/addresses.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <typename T>
T read_back(const T& message) {
  return std::get<T>(decode_registry_message(encode(message)).value());
}
template <typename T>
T read(std::string_view text) {
  return std::get<T>(decode_registry_message(text).value());
}

/// Of the longest text: no address in it has a zero group.
Addresses many_addresses(std::size_t count) {
  Addresses many;
  for (std::size_t i = 0; i < count; ++i) {
    many.push_back(net::IpAddress::v6(~0ULL, 0xffff'ffff'0000'0000 | (0xf000'0000 + i)));
  }
  return many;
}

TEST(RegistryMessages, AreTheseTexts) {
  EXPECT_EQ(encode(Snapshot{.version = 1}), R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(encode(Snapshot{.version = 1, .services = Addresses()}),
            R"({"type":"snapshot","version":1,"taps":[],"services":[]})");
  EXPECT_EQ(encode(Change{7, 8, {ip("10.1.2.5")}, {}}),
            R"({"type":"change","from":7,"version":8,"add":["10.1.2.5"],"remove":[]})");
}

TEST(RegistryMessages, ComeBackAsTheyWere) {
  const Snapshot without{7, {ip("10.1.2.4"), ip("fd00::3")}};
  EXPECT_EQ(read_back(without), without);
  const Snapshot with{~0ULL, {}, Addresses{ip("10.96.0.1")}};
  EXPECT_EQ(read_back(with), with);
  const Change change{
      7, 9, {ip("10.1.2.5")}, {ip("10.1.2.4")}, {ip("10.96.0.2")}, {ip("10.96.0.1")}};
  EXPECT_EQ(read_back(change), change);
  const Change small{7, 8};
  EXPECT_EQ(read_back(small), small);
  const CaBundle bundle{"-----BEGIN\n\"x\"\n"};
  EXPECT_EQ(read_back(bundle), bundle);
  EXPECT_EQ(read_back(Refused{"no"}), Refused{"no"});
}

TEST(RegistryMessages, SnapshotAndChange) {
  const auto snapshot = read<Snapshot>(R"({"type":"snapshot","version":7,"taps":["10.0.0.2"]})");
  EXPECT_EQ(snapshot.version, 7U);
  EXPECT_THAT(snapshot.taps, ElementsAre(ip("10.0.0.2")));
  const auto change = read<Change>(
      R"({"type":"change","from":7,"version":9,"add":["fd00::2"],"remove":["10.0.0.2"],"new":1})");
  EXPECT_EQ(change.from, 7U);
  EXPECT_EQ(change.version, 9U);
  EXPECT_THAT(change.add, ElementsAre(ip("fd00::2")));
  EXPECT_THAT(change.remove, ElementsAre(ip("10.0.0.2")));
}

TEST(RegistryMessages, ServicesAreToldOrNot) {
  EXPECT_FALSE(read<Snapshot>(R"({"type":"snapshot","version":7,"taps":[]})").services);
  EXPECT_EQ(read<Snapshot>(R"({"type":"snapshot","version":7,"taps":[],"services":["10.96.0.1"]})")
                .services,
            Addresses{ip("10.96.0.1")});
  const auto change = read<Change>(
      R"({"add_services":["10.96.0.1"],"type":"change","from":7,"version":9,"add":[],"remove":[],
          "deep":{"add":["10.0.0.9"],"services":[[1]]}})");
  EXPECT_THAT(change.add, IsEmpty());
  EXPECT_THAT(change.add_services, ElementsAre(ip("10.96.0.1")));
  EXPECT_THAT(change.remove_services, IsEmpty());
}

TEST(RegistryMessages, TheLastOfSeveralMembersCounts) {
  const auto twice =
      read<Snapshot>(R"({"type":"snapshot","version":7,"taps":["10.0.0.1"],"taps":["10.0.0.2"]})");
  EXPECT_THAT(twice.taps, ElementsAre(ip("10.0.0.2")));
}

TEST(RegistryMessages, TheRest) {
  EXPECT_EQ(read<CaBundle>(R"({"type":"ca","bundle":"PEM"})").pem, "PEM");
  EXPECT_EQ(read<Refused>(R"({"type":"refused","reason":"no"})").reason, "no");
  EXPECT_EQ(decode_registry_message(R"({"type":"of the future"})").value(), Message(Unknown{}));
}

TEST(RegistryMessages, WhatIsNoUtf8IsReplaced) {
  EXPECT_EQ(read_back(Refused{"no \xff"}).reason, "no \xef\xbf\xbd");
}

TEST(RegistryMessages, TheLargestSnapshotFitsAndWhatIsOverTheLimitIsLeftOut) {
  const Snapshot largest{~0ULL, many_addresses(kMostListedAddresses),
                         many_addresses(kMostListedAddresses)};
  EXPECT_LE(encode(largest).size(), kMostRegistryMessageBytes);
  EXPECT_EQ(read_back(largest), largest);
  const Snapshot over{1, many_addresses(kMostListedAddresses + 1)};
  EXPECT_EQ(read_back(over).taps, largest.taps);
}

TEST(RegistryMessages, AChangeFitsWithinTheLimitsOnly) {
  Change change{1, 2, many_addresses(kMostListedAddresses), many_addresses(kMostListedAddresses)};
  EXPECT_TRUE(fits(change));
  EXPECT_LE(encode(change).size(), kMostRegistryMessageBytes);
  EXPECT_EQ(read_back(change), change);
  change.add_services = {ip("10.96.0.1")};
  EXPECT_FALSE(fits(change));
  EXPECT_FALSE(decode_registry_message(encode(change)));
  EXPECT_FALSE(fits(Change{1, 2, {}, many_addresses(kMostListedAddresses + 1)}));
}

TEST(RegistryMessages, AreBounded) {
  EXPECT_TRUE(decode_registry_message(encode(CaBundle{std::string(1u << 20, 'x')})));
  EXPECT_FALSE(
      decode_registry_message(encode(CaBundle{std::string(kMostRegistryMessageBytes, 'x')})));
  std::string list = R"({"type":"snapshot","version":1,"taps":["10.0.0.1")";
  for (std::size_t i = 0; i < kMostListedAddresses; ++i) list += R"(,"10.0.0.1")";
  EXPECT_FALSE(decode_registry_message(list + "]}"));
}

TEST(RegistryMessages, AreNestedToALimit) {
  const auto nested = [](std::size_t depth) {
    return R"({"type":"refused","x":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(decode_registry_message(nested(kMostDepth - 1)));
  EXPECT_FALSE(decode_registry_message(nested(kMostDepth)));
  std::string objects;
  for (int i = 0; i < 500'000; ++i) objects += R"({"a":)";
  EXPECT_FALSE(decode_registry_message(objects));
}

class Malformed : public testing::TestWithParam<const char*> {};

TEST_P(Malformed, IsAnError) { EXPECT_FALSE(decode_registry_message(GetParam())); }

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
