// Changes that make a tap leave packets count late, the others at once.
#include "sidecar/registry/settling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/words.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::chrono::milliseconds kDelay{250};

class SettlingTest : public testing::Test {
 protected:
  using Settled = Settling<net::IpAddress>;
  static Settled::Time at(int ms) { return Settled::Time() + std::chrono::milliseconds(ms); }
  const Addresses& update(const Addresses& listed, int ms) {
    settling_.update(shared_list(listed), at(ms));
    return *settling_.list();
  }
  Settled settling_{SettlingDelays{.additions = kDelay}};
};

TEST_F(SettlingTest, AnAdditionCountsWhenItHasStoodForAWhile) {
  EXPECT_THAT(update({host(1)}, 0), IsEmpty());
  EXPECT_EQ(settling_.due(), at(250));
  EXPECT_THAT(update({host(1), host(2)}, 100), IsEmpty());
  EXPECT_THAT(update({host(1), host(2)}, 249), IsEmpty());
  EXPECT_THAT(update({host(1), host(2)}, 250), ElementsAre(host(1)));
  EXPECT_EQ(settling_.due(), at(350));
  EXPECT_THAT(update({host(1), host(2)}, 350), ElementsAre(host(1), host(2)));
  EXPECT_FALSE(settling_.due());
}

TEST_F(SettlingTest, ARemovalCountsAtOnceAndBeginsAnew) {
  update({host(1), host(2)}, 0);
  update({host(1), host(2)}, 250);
  EXPECT_THAT(update({host(2)}, 300), ElementsAre(host(2)));
  EXPECT_THAT(update({host(1), host(2)}, 301), ElementsAre(host(2)));
  EXPECT_EQ(settling_.due(), at(551));
}

TEST_F(SettlingTest, AnAdditionThatIsTakenBackNeverCounts) {
  update({host(1)}, 0);
  update({}, 100);
  EXPECT_FALSE(settling_.due());
  EXPECT_THAT(update({host(1)}, 260), IsEmpty()) << "the time begins anew";
}

TEST_F(SettlingTest, ALateRemovalLingersAndItsAdditionCountsAtOnce) {
  settling_ = Settled(SettlingDelays{.removals = kDelay});
  EXPECT_THAT(update({host(1), host(2)}, 0), ElementsAre(host(1), host(2)));
  EXPECT_FALSE(settling_.due());
  EXPECT_THAT(update({host(2), host(3)}, 100), ElementsAre(host(1), host(2), host(3)));
  EXPECT_EQ(settling_.due(), at(350));
  EXPECT_THAT(update({host(3)}, 200), ElementsAre(host(1), host(2), host(3)));
  EXPECT_THAT(update({host(3)}, 350), ElementsAre(host(2), host(3)));
  EXPECT_EQ(settling_.due(), at(450));
  EXPECT_THAT(update({host(3)}, 450), ElementsAre(host(3)));
}

TEST_F(SettlingTest, ALateRemovalThatIsTakenBackNeverCounts) {
  settling_ = Settled(SettlingDelays{.removals = kDelay});
  update({host(1)}, 0);
  update({}, 100);
  EXPECT_THAT(update({host(1)}, 200), ElementsAre(host(1)));
  EXPECT_FALSE(settling_.due());
  EXPECT_THAT(update({}, 400), ElementsAre(host(1))) << "the time begins anew";
  EXPECT_EQ(settling_.due(), at(650));
}

TEST_F(SettlingTest, WithBothLateTheListIsThatOfADelayAgo) {
  settling_ = Settled(SettlingDelays{.additions = kDelay, .removals = kDelay});
  EXPECT_THAT(update({host(1)}, 0), IsEmpty());
  EXPECT_THAT(update({host(2)}, 250), IsEmpty()) << "taken out when it came to count";
  EXPECT_THAT(update({host(2)}, 500), ElementsAre(host(2)));
  EXPECT_THAT(update({host(1), host(3)}, 600), ElementsAre(host(2)));
  EXPECT_THAT(update({host(1), host(3)}, 850), ElementsAre(host(1), host(3)));
  EXPECT_FALSE(settling_.due());
}

TEST_F(SettlingTest, WithoutADelayEverythingCountsAtOnce) {
  settling_ = Settled(SettlingDelays{});
  EXPECT_THAT(update({host(1), host(2)}, 0), ElementsAre(host(1), host(2)));
  EXPECT_THAT(update({host(2)}, 0), ElementsAre(host(2)));
}

TEST_F(SettlingTest, TellsWhetherTheListHasChanged) {
  const auto listed = shared_list(Addresses{host(1)});
  EXPECT_FALSE(settling_.update(listed, at(0)));
  EXPECT_FALSE(settling_.update(listed, at(249)));
  EXPECT_TRUE(settling_.update(listed, at(250)));
  const auto before = settling_.list();
  EXPECT_FALSE(settling_.update(listed, at(251)));
  EXPECT_EQ(settling_.list(), before);
}

TEST_F(SettlingTest, TransportAddressesSettleAlike) {
  Settling<net::TransportAddress> endpoints{SettlingDelays{.additions = kDelay}};
  const auto listed =
      shared_list(TransportAddresses{endpoint("10.0.0.1:80/tcp"), endpoint("10.0.0.1:80/udp")});
  EXPECT_FALSE(endpoints.update(listed, at(0)));
  EXPECT_TRUE(endpoints.update(listed, at(250)));
  EXPECT_EQ(*endpoints.list(), *listed);
}

}  // namespace
}  // namespace sidetap::registry
