// The VNI of a namespace is the same wherever it is asked for.
#include "sidecar/forwarding/vni_rule.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace sidetap::forwarding {
namespace {

const VniRule kByName{.otherwise = 7, .by_namespace = true, .configured = {{"shop", 100}}};

TEST(VniRule, WithoutNamespacesAllHaveOne) {
  const VniRule rule{.otherwise = 7, .configured = {{"shop", 100}}};
  EXPECT_EQ(rule.of("shop"), 7U);
  EXPECT_EQ(rule.of("web"), 7U);
}

TEST(VniRule, ConfiguredNumbersComeFirst) {
  EXPECT_EQ(kByName.of("shop"), 100U);
  EXPECT_EQ(kByName.of("web"), derived_vni("web"));
}

// FNV-1a of 32 bits modulo 16773120, plus 4096; reckoned elsewhere. What has been told to operators
// must not change.
TEST(VniRule, NamesLeadToTheNumbersOfTheDocumentation) {
  EXPECT_EQ(derived_vni("a"), 1'734'956U);
  EXPECT_EQ(derived_vni("foobar"), 11'073'896U);
  EXPECT_EQ(derived_vni("shop"), 5'402'793U);
  EXPECT_EQ(derived_vni("web"), 14'335'121U);
  EXPECT_EQ(derived_vni("kube-system"), 8'374'110U);
}

TEST(VniRule, NumbersOfNamesAreInTheRangeAndSpread) {
  std::set<std::uint32_t> numbers;
  for (int i = 0; i < 1'000; ++i) {
    const std::uint32_t vni = derived_vni("team-" + std::to_string(i));
    EXPECT_GE(vni, kFirstDerivedVni);
    EXPECT_LE(vni, kMostVni);
    numbers.insert(vni);
  }
  EXPECT_EQ(numbers.size(), 1'000U);
}

TEST(VniRule, WhatIsNoNamespaceIsUnknown) {
  for (const std::string& text : {std::string(), std::string("Shop"), std::string("a/b"),
                                  std::string("a\nb"), std::string(64, 'a')}) {
    EXPECT_FALSE(is_namespace(text)) << text;
    EXPECT_EQ(kByName.of(text), 7U) << text;
  }
  EXPECT_TRUE(is_namespace(std::string(63, 'a')));
}

}  // namespace
}  // namespace sidetap::forwarding
