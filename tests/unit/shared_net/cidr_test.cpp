#include "shared/net/cidr.h"

#include <functional>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::net {
namespace {

Cidr cidr(std::string_view text) { return Cidr::parse(text).value(); }
CidrSet set(std::string_view text) { return CidrSet::parse(text).value(); }

TEST(Cidr, ClearsHostBits) { EXPECT_EQ(cidr("10.1.2.3/8").to_string(), "10.0.0.0/8"); }

TEST(Cidr, BareAddressIsOneHost) {
  EXPECT_EQ(cidr("10.1.2.3").to_string(), "10.1.2.3/32");
  EXPECT_EQ(cidr("fd00::1").to_string(), "fd00::1/128");
}

TEST(Cidr, ContainsFirstAndLastAndNothingBeside) {
  const Cidr c = cidr("10.244.4.0/22");
  EXPECT_TRUE(c.contains(ip("10.244.4.0")));
  EXPECT_TRUE(c.contains(ip("10.244.7.255")));
  EXPECT_FALSE(c.contains(ip("10.244.3.255")));
  EXPECT_FALSE(c.contains(ip("10.244.8.0")));
  EXPECT_TRUE(cidr("0.0.0.0/0").contains(ip("255.255.255.255")));
  EXPECT_FALSE(cidr("0.0.0.0/0").contains(ip("fd00::1")));
  EXPECT_TRUE(cidr("::/0").contains(ip("ffff::1")));
}

TEST(Cidr, LengthCountsInTheFamilyThatIsWritten) {
  EXPECT_EQ(cidr("::ffff:10.0.0.0/104").to_string(), "10.0.0.0/8");
}

TEST(Cidr, RefusesNonsense) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1",
                           "10.0.0.0/8x", "10.0.0/8", "::ffff:10.0.0.0/8"}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
}

TEST(CidrList, TakesBlanksAndEmptyItems) {
  EXPECT_EQ(to_string(*parse_cidr_list(" 10.0.0.0/8, ,fd00::/8,")), "10.0.0.0/8,fd00::/8");
  EXPECT_FALSE(parse_cidr_list("10.0.0.0/8,oops"));
}

TEST(CidrSet, LongestPrefixDecides) {
  const CidrSet s = set("10.244.0.0/16,!10.244.1.0/24,10.244.1.7");
  EXPECT_TRUE(s.contains(ip("10.244.0.255")));
  EXPECT_FALSE(s.contains(ip("10.244.1.6")));
  EXPECT_TRUE(s.contains(ip("10.244.1.7")));
  EXPECT_FALSE(s.contains(ip("10.244.1.8")));
  EXPECT_TRUE(s.contains(ip("10.244.2.0")));
  EXPECT_FALSE(s.contains(ip("10.245.0.0")));
}

TEST(CidrSet, OrderOfTheListDoesNotMatter) {
  EXPECT_EQ(set("10.0.0.1,!10.0.0.0/24,10.0.0.0/8"), set("10.0.0.0/8,!10.0.0.0/24,10.0.0.1"));
}

TEST(CidrSet, PrefixesAreTheFewestThatCoverIt) {
  EXPECT_THAT(set("10.0.0.0/25,10.0.0.128/25,10.0.1.0/24").prefixes(),
              testing::ElementsAre(cidr("10.0.0.0/23")));
  EXPECT_THAT(set("0.0.0.0/0,::/0").prefixes().size(), testing::Gt(0U));
  EXPECT_THAT(set("10.0.0.0/30,!10.0.0.0").prefixes(),
              testing::ElementsAre(cidr("10.0.0.1"), cidr("10.0.0.2/31")));
  EXPECT_TRUE(set("").prefixes().empty());
}

TEST(CidrSet, AgreesWithTheDefinitionOnRandomRules) {
  std::mt19937 random(20261123);
  for (int round = 0; round < 300; ++round) {
    std::vector<CidrSet::Rule> rules;
    for (int i = 0; i < 12; ++i) {
      const bool v4 = random() % 2 == 0;
      const IpAddress base =
          v4 ? IpAddress::v4(static_cast<std::uint32_t>(0x0a000000 | random() % 64))
             : IpAddress::v6(0xfd00000000000000ULL, random() % 64);
      const auto length = static_cast<unsigned>((v4 ? 26 : 122) + random() % 7);
      rules.push_back({Cidr::make(base, length).value(), random() % 3 != 0});
    }
    const CidrSet s{std::span<const CidrSet::Rule>(rules)};
    const auto cover = s.prefixes();
    for (std::uint64_t i = 0; i < 160; ++i) {
      const IpAddress a = i % 2 == 0
                              ? IpAddress::v4(static_cast<std::uint32_t>(0x0a000000 - 8 + i / 2))
                              : IpAddress::v6(0xfd00000000000000ULL, i / 2);
      bool expected = false;
      unsigned longest = 0;
      for (const auto& rule : rules) {
        if (rule.prefix.contains(a) && rule.prefix.length128() >= longest) {
          longest = rule.prefix.length128();
          expected = rule.member;
        }
      }
      ASSERT_EQ(s.contains(a), expected) << a.to_string() << " in round " << round;
      const auto covering =
          std::count_if(cover.begin(), cover.end(), [&](const Cidr& c) { return c.contains(a); });
      ASSERT_EQ(covering, expected ? 1 : 0) << a.to_string() << " in round " << round;
    }
  }
}

/// Sets so large that lookups go by slices, against the plain definition.
TEST(CidrSet, LargeSetsHoldTheirMembersAndNothingElse) {
  std::mt19937_64 random(20261124);
  const std::vector<std::function<IpAddress()>> kinds = {
      [&] { return IpAddress::v4(static_cast<std::uint32_t>(0x0af40000 | random() % 65536)); },
      [&] { return IpAddress::v4(static_cast<std::uint32_t>(random())); },
      [&] { return IpAddress::v6(0xfd00001002440000ULL | random() % 100, random() % 200); },
      [&] { return IpAddress::v6(random(), random()); },
      [&] { return IpAddress::v6(0, random() % 1000); },
      [&] { return IpAddress::v6(~0ULL, ~0ULL - random() % 100); },
  };
  // Each kind alone, then all together.
  for (std::size_t kind = 0; kind <= kinds.size(); ++kind) {
    const auto any = [&] { return kinds[kind < kinds.size() ? kind : random() % kinds.size()](); };
    std::set<IpAddress> members;
    std::vector<Cidr> hosts;
    for (int i = 0; i < 5000; ++i) {
      const IpAddress address = any();
      members.insert(address);
      hosts.push_back(Cidr::host(address));
    }
    const CidrSet s{std::span<const Cidr>(hosts)};
    for (IpAddress member : members) ASSERT_TRUE(s.contains(member)) << member.to_string();
    for (int i = 0; i < 20000; ++i) {
      const IpAddress address = kinds[random() % kinds.size()]();
      ASSERT_EQ(s.contains(address), members.contains(address)) << address.to_string();
    }
  }
}

TEST(CidrList, TheIntersectionIsWhatBothCover) {
  const auto common = [](std::string_view a, std::string_view b) {
    return to_string(intersection(*parse_cidr_list(a), *parse_cidr_list(b)));
  };
  EXPECT_EQ(common("10.96.0.0/12", "10.96.0.10,10.97.0.0/16,192.0.2.1"),
            "10.96.0.10/32,10.97.0.0/16");
  EXPECT_EQ(common("10.96.0.10,10.97.0.0/16,192.0.2.1", "10.96.0.0/12"),
            "10.96.0.10/32,10.97.0.0/16");
  EXPECT_EQ(common("10.96.0.1,fd00:96::1", "fd00:96::/112"), "fd00:96::1/128");
  EXPECT_EQ(common("10.0.0.0/8,10.96.0.0/12", "10.96.0.0/12,10.96.0.1"), "10.96.0.0/12");
  EXPECT_EQ(common("10.96.0.1", "10.96.0.2"), "");
  EXPECT_EQ(common("", "10.96.0.0/12"), "");
}

TEST(CidrSet, ARangeAcrossTheFamiliesIsSeenFromBoth) {
  std::string text = "::/0,!255.255.255.255,!::1:0:0:0";
  for (int i = 0; i < 100; ++i) text += ",!10.0.0." + std::to_string(2 * i);
  const CidrSet s = set(text);
  EXPECT_TRUE(s.contains(ip("0.0.0.0")));
  EXPECT_TRUE(s.contains(ip("9.0.0.1")));
  EXPECT_FALSE(s.contains(ip("10.0.0.198")));
  EXPECT_TRUE(s.contains(ip("11.0.0.0")));
  EXPECT_FALSE(s.contains(ip("255.255.255.255")));
  EXPECT_TRUE(s.contains(ip("fd00::1")));
  EXPECT_TRUE(s.contains(ip("::1")));
}

TEST(CidrSet, KnowsOfWhichFamiliesItHolds) {
  EXPECT_FALSE(CidrSet().has_family(true));
  EXPECT_FALSE(CidrSet().has_family(false));
  const auto v4 = CidrSet::parse("10.0.0.0/8").value();
  EXPECT_TRUE(v4.has_family(true));
  EXPECT_FALSE(v4.has_family(false));
  const auto both = CidrSet::parse("10.0.0.0/8,fd00::/8").value();
  EXPECT_TRUE(both.has_family(true) && both.has_family(false));
  EXPECT_FALSE(CidrSet::parse("::/0").value().has_family(true));
}

}  // namespace
}  // namespace sidetap::net
