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

net::TransportAddress endpoint(std::string_view text) {
  return net::TransportAddress::parse(text).value();
}

/// Of the longest text.
TransportAddresses many_endpoints(std::size_t count) {
  TransportAddresses many;
  for (const net::IpAddress& address : many_addresses(count)) many.push_back({address, 136, 65535});
  return many;
}

TEST(RegistryMessages, AreTheseTexts) {
  EXPECT_EQ(encode(Snapshot{.version = 1}), R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(encode(Snapshot{.version = 1, .knows_services = true}),
            R"({"type":"snapshot","version":1,"taps":[],"services":[]})");
  EXPECT_EQ(encode(Snapshot{.version = 1, .rules = 2}),
            R"({"type":"snapshot","version":1,"taps":[],"older":[]})");
  EXPECT_EQ(encode(Change{7, 8, {.taps = {ip("10.1.2.5")}}, {}}),
            R"({"type":"change","from":7,"version":8,"add":["10.1.2.5"],"remove":[]})");
}

TEST(RegistryMessages, OfRulesTwoAreTheseTexts) {
  const Lists lists{.taps = {ip("10.1.2.3"), ip("10.1.2.4")},
                    .older = {ip("10.1.2.4")},
                    .services = {ip("10.96.0.10")},
                    .nodes = {ip("172.18.0.2")},
                    .client_owned = {endpoint("10.1.2.3:8080/tcp")},
                    .server_ports = {endpoint("0.0.0.0:8080/tcp")},
                    .front_ends = {endpoint("203.0.113.7:80/tcp"), endpoint("[::]:30080/udp")}};
  EXPECT_EQ(
      encode(Snapshot{7, lists, true, 2}),
      R"({"type":"snapshot","version":7,"taps":["10.1.2.3","10.1.2.4"],"older":["10.1.2.4"],)"
      R"("services":["10.96.0.10"],"nodes":["172.18.0.2"],"client_owned":["10.1.2.3:8080/tcp"],)"
      R"("server_ports":["0.0.0.0:8080/tcp"],)"
      R"("front_ends":["203.0.113.7:80/tcp","[::]:30080/udp"]})");
  const Lists more{.nodes = {ip("172.18.0.3")}, .front_ends = {endpoint("[fd00::1]:80/tcp")}};
  const Lists less{.services = {ip("10.96.0.10")}, .client_owned = {endpoint("10.1.2.3:8080/tcp")}};
  EXPECT_EQ(
      encode(Change{7, 9, more, less}),
      R"({"type":"change","from":7,"version":9,"add":[],"remove":[],)"
      R"("remove_services":["10.96.0.10"],"add_nodes":["172.18.0.3"],)"
      R"("remove_client_owned":["10.1.2.3:8080/tcp"],"add_front_ends":["[fd00::1]:80/tcp"]})");
}

/// One item in every list, with `n` in it.
Lists of_each(std::uint32_t n) {
  const net::TransportAddress item{host(n), 6, 80};
  return {{host(n)}, {host(n)}, {host(n)}, {host(n)}, {item}, {item}, {item}};
}

TEST(RegistryMessages, ComeBackAsTheyWere) {
  const Snapshot plain{7, {.taps = {ip("10.1.2.4"), ip("fd00::3")}}};
  EXPECT_EQ(read_back(plain), plain);
  const Snapshot first_rules{~0ULL, {.services = {ip("10.96.0.1")}}, true, 1};
  EXPECT_EQ(read_back(first_rules), first_rules);
  const Snapshot all{8, of_each(1), true, 2};
  EXPECT_EQ(read_back(all), all);
  const Snapshot without_services{8, {.taps = {host(1)}, .older = {host(1)}}, false, 2};
  EXPECT_EQ(read_back(without_services), without_services);
  const Change change{7, 9, of_each(1), of_each(2)};
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
  EXPECT_THAT(snapshot.lists.taps, ElementsAre(ip("10.0.0.2")));
  const auto change = read<Change>(
      R"({"type":"change","from":7,"version":9,"add":["fd00::2"],"remove":["10.0.0.2"],"new":1})");
  EXPECT_EQ(change.from, 7U);
  EXPECT_EQ(change.version, 9U);
  EXPECT_THAT(change.add.taps, ElementsAre(ip("fd00::2")));
  EXPECT_THAT(change.remove.taps, ElementsAre(ip("10.0.0.2")));
}

TEST(RegistryMessages, ServicesAreToldOrNot) {
  EXPECT_FALSE(read<Snapshot>(R"({"type":"snapshot","version":7,"taps":[]})").knows_services);
  const auto told =
      read<Snapshot>(R"({"type":"snapshot","version":7,"taps":[],"services":["10.96.0.1"]})");
  EXPECT_TRUE(told.knows_services);
  EXPECT_THAT(told.lists.services, ElementsAre(ip("10.96.0.1")));
  const auto change = read<Change>(
      R"({"add_services":["10.96.0.1"],"type":"change","from":7,"version":9,"add":[],"remove":[],
          "deep":{"add":["10.0.0.9"],"services":[[1]]}})");
  EXPECT_THAT(change.add.taps, IsEmpty());
  EXPECT_THAT(change.add.services, ElementsAre(ip("10.96.0.1")));
  EXPECT_THAT(change.remove.services, IsEmpty());
}

TEST(RegistryMessages, ARegistryKnowsRulesTwoIfItListsOlderTaps) {
  const auto first = read<Snapshot>(
      R"({"type":"snapshot","version":7,"taps":["10.0.0.2"],"services":[],"nodes":["10.0.0.9"]})");
  EXPECT_EQ(first.rules, 1U);
  EXPECT_THAT(first.lists.nodes, IsEmpty()) << "it does not know that list";
  const auto second =
      read<Snapshot>(R"({"type":"snapshot","version":7,"taps":["10.0.0.2"],"older":[],
          "services":[],"nodes":["10.0.0.9"],"client_owned":["10.0.0.2:80/TCP"]})");
  EXPECT_EQ(second.rules, 2U);
  EXPECT_THAT(second.lists.nodes, ElementsAre(ip("10.0.0.9")));
  EXPECT_THAT(second.lists.client_owned, ElementsAre(endpoint("10.0.0.2:80/tcp")));
  EXPECT_THAT(second.lists.front_ends, IsEmpty()) << "an absent list is empty";
  const auto without_services = read<Snapshot>(
      R"({"type":"snapshot","version":7,"taps":[],"older":["10.0.0.2"],"nodes":["10.0.0.9"]})");
  EXPECT_EQ(without_services.rules, 2U);
  EXPECT_THAT(without_services.lists.older, ElementsAre(ip("10.0.0.2")));
  EXPECT_THAT(without_services.lists.nodes, IsEmpty());
}

TEST(RegistryMessages, TheLastOfSeveralMembersCounts) {
  const auto twice =
      read<Snapshot>(R"({"type":"snapshot","version":7,"taps":["10.0.0.1"],"taps":["10.0.0.2"]})");
  EXPECT_THAT(twice.lists.taps, ElementsAre(ip("10.0.0.2")));
  const auto mended = read<Snapshot>(
      R"({"type":"snapshot","version":7,"taps":[],"older":[],"services":[],"front_ends":[7],
          "front_ends":["10.0.0.2:80/tcp"]})");
  EXPECT_THAT(mended.lists.front_ends, ElementsAre(endpoint("10.0.0.2:80/tcp")));
}

TEST(RegistryMessages, TheRest) {
  EXPECT_EQ(read<CaBundle>(R"({"type":"ca","bundle":"PEM"})").pem, "PEM");
  EXPECT_EQ(read<Refused>(R"({"type":"refused","reason":"no"})").reason, "no");
  EXPECT_EQ(decode_registry_message(R"({"type":"of the future"})").value(), Message(Unknown{}));
}

TEST(RegistryMessages, WhatIsNoUtf8IsReplaced) {
  EXPECT_EQ(read_back(Refused{"no \xff"}).reason, "no \xef\xbf\xbd");
}

TEST(RegistryMessages, TheLargestSnapshotFitsAndWhatIsOverTheLimitOfAListIsLeftOut) {
  const Snapshot largest{~0ULL,
                         {.taps = many_addresses(kMostListedAddresses),
                          .nodes = many_addresses(kMostNodes),
                          .client_owned = many_endpoints(60'000),
                          .server_ports = many_endpoints(kMostServerPorts),
                          .front_ends = many_endpoints(kMostListedAddresses)},
                         true,
                         2};
  const std::string text = encode(largest);
  EXPECT_LE(text.size(), kMostRegistryMessageBytes);
  EXPECT_EQ(std::get<Snapshot>(decode_registry_message(text).value()), largest);
  const Snapshot over{1,
                      {.taps = many_addresses(kMostListedAddresses + 1),
                       .nodes = many_addresses(kMostNodes + 1),
                       .server_ports = many_endpoints(kMostServerPorts + 1)},
                      true,
                      2};
  const Snapshot cut = read_back(over);
  EXPECT_EQ(cut.lists.taps, largest.lists.taps);
  EXPECT_EQ(cut.lists.nodes, largest.lists.nodes);
  EXPECT_EQ(cut.lists.server_ports, largest.lists.server_ports);
}

TEST(RegistryMessages, WholeListsAreLeftOutOfASnapshotThatIsTooLong) {
  Snapshot snapshot{1,
                    {.taps = many_addresses(kMostListedAddresses),
                     .services = many_addresses(80'000),
                     .client_owned = many_endpoints(80'000),
                     .front_ends = many_endpoints(80'000)},
                    true,
                    2};
  Snapshot read = read_back(snapshot);
  EXPECT_THAT(read.lists.front_ends, IsEmpty());
  EXPECT_EQ(read.lists.client_owned, snapshot.lists.client_owned);
  EXPECT_EQ(read.lists.services, snapshot.lists.services);
  snapshot.lists.older = snapshot.lists.taps;
  read = read_back(snapshot);
  EXPECT_THAT(read.lists.client_owned, IsEmpty());
  EXPECT_EQ(read.lists.services, snapshot.lists.services);
  snapshot.lists.nodes = many_addresses(kMostNodes);
  snapshot.lists.server_ports = many_endpoints(1);
  read = read_back(snapshot);
  EXPECT_THAT(read.lists.services, IsEmpty());
  EXPECT_TRUE(read.knows_services);
  EXPECT_EQ(read.lists.older, snapshot.lists.older);
  EXPECT_EQ(read.lists.server_ports, snapshot.lists.server_ports);
}

TEST(RegistryMessages, AChangeFitsWithinTheLimitsOnly) {
  Change change{1,
                2,
                {.taps = many_addresses(kMostListedAddresses),
                 .client_owned = many_endpoints(kMostListedAddresses)},
                {.front_ends = many_endpoints(kMostListedAddresses)}};
  EXPECT_TRUE(fits(change));
  EXPECT_LE(encode(change).size(), kMostRegistryMessageBytes);
  EXPECT_EQ(read_back(change), change);
  change.add.services = {ip("10.96.0.1")};
  EXPECT_FALSE(fits(change));
  EXPECT_FALSE(decode_registry_message(encode(change)));
  EXPECT_FALSE(fits(Change{1, 2, {}, {.taps = many_addresses(kMostListedAddresses + 1)}}));
  EXPECT_FALSE(fits(Change{1, 2, {.nodes = many_addresses(kMostNodes + 1)}, {}}));
  EXPECT_FALSE(fits(Change{1, 2, {}, {.server_ports = many_endpoints(kMostServerPorts + 1)}}));
}

TEST(RegistryMessages, AreBounded) {
  EXPECT_TRUE(decode_registry_message(encode(CaBundle{std::string(1u << 20, 'x')})));
  EXPECT_FALSE(
      decode_registry_message(encode(CaBundle{std::string(kMostRegistryMessageBytes, 'x')})));
  std::string list = R"({"type":"snapshot","version":1,"taps":["10.0.0.1")";
  for (std::size_t i = 0; i < kMostListedAddresses; ++i) list += R"(,"10.0.0.1")";
  EXPECT_FALSE(decode_registry_message(list + "]}"));
  std::string nodes = R"({"type":"snapshot","version":1,"taps":[],"older":[],"nodes":["10.0.0.1")";
  for (std::size_t i = 0; i < kMostNodes; ++i) nodes += R"(,"10.0.0.1")";
  EXPECT_FALSE(decode_registry_message(nodes + "]}"));
}

// An older tap does not read what it does not know, so only a long message can be too long for it.
TEST(RegistryMessages, OfAClusterOfTenThousandTapsAreShortEnoughForAnOlderTap) {
  constexpr std::size_t kMostBytesOfRulesOne = 9u << 20;
  const Snapshot snapshot{1,
                          {.taps = many_addresses(20'000),
                           .older = many_addresses(20'000),
                           .services = many_addresses(20'000),
                           .nodes = many_addresses(5'000),
                           .client_owned = many_endpoints(20'000),
                           .server_ports = many_endpoints(2'000),
                           .front_ends = many_endpoints(20'000)},
                          true,
                          2};
  EXPECT_LT(encode(snapshot).size(), kMostBytesOfRulesOne);
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
    testing::Values(
        "", "[]", "7", "{", R"({"version":1})", R"({"type":7})",
        R"({"type":"snapshot","version":1})", R"({"type":"snapshot","taps":[]})",
        R"({"type":"snapshot","version":-1,"taps":[]})",
        R"({"type":"snapshot","version":1,"taps":{}})",
        R"({"type":"snapshot","version":1,"taps":[1]})",
        R"({"type":"snapshot","version":1,"taps":[["10.0.0.1"]]})",
        R"({"type":"snapshot","version":1,"taps":[],"services":7})",
        R"({"type":"snapshot","version":1,"taps":[],"services":[7]})",
        R"({"type":"snapshot","version":1,"taps":["10.0.0.0/8"]})",
        R"({"type":"snapshot","version":1,"taps":[],"older":7})",
        R"({"type":"snapshot","version":1,"taps":[],"nodes":["10.0.0.1:80/tcp"]})",
        R"({"type":"snapshot","version":1,"taps":[],"client_owned":["1.2.3.4"]})",
        R"({"type":"snapshot","version":1,"taps":[],"client_owned":[7]})",
        R"({"type":"snapshot","version":1,"taps":[],"client_owned":{"a":1}})",
        R"({"type":"snapshot","version":1,"taps":[],"server_ports":[80,443]})",
        R"({"type":"snapshot","version":1,"taps":[],"front_ends":["1.2.3.4:99999/tcp"]})",
        R"({"type":"snapshot","version":1,"taps":[],"front_ends":["1.2.3.4:80/icmp"]})",
        R"({"type":"snapshot","version":1,"taps":[],"front_ends":["[::1:80/tcp"]})",
        R"({"type":"snapshot","version":1,"taps":[],"front_ends":[["1.2.3.4:80/tcp"]]})",
        R"({"type":"change","from":1,"version":2,"add":[],"remove":[],"add_nodes":1})",
        R"({"type":"change","from":1,"version":2,"add":[],"remove":[],"add_older":[1]})",
        R"({"type":"change","from":1,"version":2,"add":[]})",
        R"({"type":"change","from":"1","version":2,"add":[],"remove":[]})", R"({"type":"ca"})",
        R"({"type":"ca","bundle":[]})"));

}  // namespace
}  // namespace sidetap::registry
