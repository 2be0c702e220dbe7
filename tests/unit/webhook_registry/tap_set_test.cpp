#include "webhook/registry/tap_set.h"

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

TEST(TapSet, HoldsTheAddressesOfForwardingTapsOnly) {
  TapSet set;
  set.update(1, {kA}, false);
  EXPECT_FALSE(set.changed());
  EXPECT_FALSE(set.flush());
  set.update(1, {kA}, true);
  set.update(2, {kB, kB6}, true);
  EXPECT_TRUE(set.changed());
  const auto delta = set.flush();
  ASSERT_TRUE(delta);
  EXPECT_THAT(delta->add, ElementsAre(kA, kB, kB6));
  EXPECT_THAT(delta->remove, IsEmpty());
  EXPECT_EQ(set.connections(), 2u);
  EXPECT_EQ(set.forwarding(), 2u);
}

TEST(TapSet, ATapLeavesWithItsSessionOrItsConnection) {
  TapSet set;
  set.update(1, {kA}, true);
  set.update(2, {kB}, true);
  set.flush();
  set.update(1, {kA}, false);
  set.remove(2);
  EXPECT_THAT(set.flush()->remove, ElementsAre(kA, kB));
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
  EXPECT_FALSE(set.flush());
}

TEST(TapSet, AnAddressBelongsToTheNewestConnection) {
  TapSet set;
  set.update(1, {kA}, true);
  set.flush();
  // A new pod has the address, and does not forward yet: peers must not count on it.
  set.update(2, {kA}, false);
  EXPECT_THAT(set.flush()->remove, ElementsAre(kA));
  // The old connection is heard once more, and then found dead.
  set.update(1, {kA}, true);
  EXPECT_FALSE(set.flush());
  set.remove(1);
  EXPECT_FALSE(set.flush());
  set.update(2, {kA}, true);
  EXPECT_THAT(set.flush()->add, ElementsAre(kA));
}

TEST(TapSet, TheEndOfANewerConnectionDoesNotReviveAnOlderOne) {
  TapSet set;
  set.update(1, {kA}, true);
  set.update(2, {kA}, true);
  set.flush();
  set.remove(2);
  EXPECT_THAT(set.flush()->remove, ElementsAre(kA));
}

TEST(TapSet, AnAddressThatATapGivesUpLeaves) {
  TapSet set;
  set.update(1, {kA, kB6}, true);
  set.flush();
  set.update(1, {kA}, true);
  EXPECT_THAT(set.flush()->remove, ElementsAre(kB6));
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
    if (const auto delta = set.flush()) {
      for (const auto& address : delta->add) ASSERT_TRUE(heard.insert(address).second);
      for (const auto& address : delta->remove) ASSERT_EQ(heard.erase(address), 1u);
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
