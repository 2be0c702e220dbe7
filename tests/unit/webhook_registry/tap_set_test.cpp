#include "webhook/registry/tap_set.h"

#include <optional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const auto kA = ip("10.0.0.1");
const auto kB = ip("10.0.0.2");
const auto kB6 = ip("fd00::2");

using sidetap::registry::Change;

/// Nothing: there is no change.
std::optional<Change> flushed(TapSet& set) {
  Change change;
  if (!set.flush(change)) return std::nullopt;
  return change;
}

TEST(TapSet, HoldsTheAddressesOfForwardingTapsOnly) {
  TapSet set;
  set.update(1, {kA}, false);
  EXPECT_FALSE(set.changed());
  EXPECT_FALSE(flushed(set));
  set.update(1, {kA}, true);
  set.update(2, {kB, kB6}, true);
  EXPECT_TRUE(set.changed());
  const auto delta = flushed(set);
  ASSERT_TRUE(delta);
  EXPECT_THAT(delta->add.taps, ElementsAre(kA, kB, kB6));
  EXPECT_THAT(delta->remove.taps, IsEmpty());
  EXPECT_EQ(set.connections(), 2u);
  EXPECT_EQ(set.forwarding(), 2u);
}

TEST(TapSet, ATapLeavesWithItsSessionOrItsConnection) {
  TapSet set;
  set.update(1, {kA}, true);
  set.update(2, {kB}, true);
  flushed(set);
  set.update(1, {kA}, false);
  set.remove(2);
  EXPECT_THAT(flushed(set)->remove.taps, ElementsAre(kA, kB));
  EXPECT_THAT(set.published(), IsEmpty());
  EXPECT_EQ(set.forwarding(), 0u);
  EXPECT_EQ(set.connections(), 1u);
}

TEST(TapSet, ChangesThatCancelOutAreNone) {
  TapSet set;
  set.update(1, {kA}, true);
  set.update(1, {kA}, false);
  set.update(2, {kB}, true);
  set.remove(2);
  EXPECT_FALSE(set.changed());
  EXPECT_FALSE(flushed(set));
}

TEST(TapSet, AnAddressBelongsToTheNewestConnection) {
  TapSet set;
  set.update(1, {kA}, true);
  flushed(set);
  // A new pod has the address, and does not forward yet: peers must not count on it.
  set.update(2, {kA}, false);
  EXPECT_THAT(flushed(set)->remove.taps, ElementsAre(kA));
  // The old connection is heard once more, and then found dead.
  set.update(1, {kA}, true);
  EXPECT_FALSE(flushed(set));
  set.remove(1);
  EXPECT_FALSE(flushed(set));
  set.update(2, {kA}, true);
  EXPECT_THAT(flushed(set)->add.taps, ElementsAre(kA));
}

TEST(TapSet, TheEndOfANewerConnectionDoesNotReviveAnOlderOne) {
  TapSet set;
  set.update(1, {kA}, true);
  set.update(2, {kA}, true);
  flushed(set);
  set.remove(2);
  EXPECT_THAT(flushed(set)->remove.taps, ElementsAre(kA));
}

TEST(TapSet, AnAddressThatATapGivesUpLeaves) {
  TapSet set;
  set.update(1, {kA, kB6}, true);
  flushed(set);
  set.update(1, {kA}, true);
  EXPECT_THAT(flushed(set)->remove.taps, ElementsAre(kB6));
}

TEST(TapSet, TapsThatDoNotApplyTheNewestRulesAreListedTwice) {
  TapSet set;
  set.update(1, {kA}, true, 1);
  set.update(2, {kB}, true, 2);
  const auto change = flushed(set);
  ASSERT_TRUE(change);
  EXPECT_THAT(change->add.taps, ElementsAre(kA, kB));
  EXPECT_THAT(change->add.older, ElementsAre(kA));
  // A newer tap takes the address over, without a moment in which nobody has it.
  set.update(3, {kA}, true, 2);
  const auto newer = flushed(set);
  ASSERT_TRUE(newer);
  EXPECT_THAT(newer->add.taps, IsEmpty());
  EXPECT_THAT(newer->remove.taps, IsEmpty());
  EXPECT_THAT(newer->remove.older, ElementsAre(kA));
  EXPECT_THAT(set.older(), IsEmpty());
  set.update(2, {kB}, false, 1);
  EXPECT_THAT(flushed(set)->add.older, IsEmpty()) << "it does not forward";
}

TEST(TapSet, OfTooManyAddressesTheFirstAreListed) {
  TapSet set;
  std::vector<net::IpAddress> many;
  for (std::uint32_t i = 0; i < sidetap::registry::kMostListedAddresses; ++i)
    many.push_back(host(i + 1));
  set.update(1, many, true);
  flushed(set);
  set.update(2, {host(0)}, true);
  const auto change = flushed(set);
  ASSERT_TRUE(change);
  EXPECT_THAT(change->add.taps, ElementsAre(host(0)));
  EXPECT_THAT(change->remove.taps, ElementsAre(many.back()));
  EXPECT_EQ(set.left_out(), 1U);
}

// For any history, the sum of all changes is the set, and the set matches a simple model.
TEST(TapSet, DeltasAddUpToWhatASimpleModelSays) {
  std::mt19937 random(1);
  TapSet set;
  std::set<net::IpAddress> heard;
  std::map<net::IpAddress, ConnectionId> owner;
  std::map<ConnectionId, std::pair<std::vector<net::IpAddress>, bool>> open;
  ConnectionId last = 0;
  const auto drop_claims = [&](ConnectionId id) {
    std::erase_if(owner, [id](const auto& item) { return item.second == id; });
  };
  for (int step = 0; step < 20'000; ++step) {
    ConnectionId id = open.empty() || random() % 3 == 0
                          ? ++last
                          : std::next(open.begin(), random() % open.size())->first;
    if (open.contains(id) && random() % 3 == 0) {
      set.remove(id);
      drop_claims(id);
      open.erase(id);
    } else {
      std::vector<net::IpAddress> addresses;
      for (auto i = random() % 3; i-- > 0;) {
        addresses.push_back(
            net::IpAddress::v4(0x0a000000 + static_cast<std::uint32_t>(random() % 20)));
      }
      const bool forwarding = random() % 2 == 0;
      set.update(id, addresses, forwarding);
      drop_claims(id);
      open[id] = {addresses, forwarding};
      for (const auto& address : addresses) {
        if (!owner.contains(address) || owner[address] < id) owner[address] = id;
      }
    }
    if (random() % 4 != 0) continue;
    if (const auto delta = flushed(set)) {
      for (const auto& address : delta->add.taps) ASSERT_TRUE(heard.insert(address).second);
      for (const auto& address : delta->remove.taps) ASSERT_EQ(heard.erase(address), 1u);
    }
    std::set<net::IpAddress> expected;
    for (const auto& [address, who] : owner) {
      if (open[who].second) expected.insert(address);
    }
    ASSERT_EQ(heard, expected);
    ASSERT_EQ(set.published(), expected);
  }
}

}  // namespace
}  // namespace sidetap::webhook::registry
