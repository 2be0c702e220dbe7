// Which peers from the replicas' lists count.
#include "sidecar/registry/settled_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

net::IpAddress host(unsigned n) { return net::IpAddress::v4(0x0a000000U + n); }

class SettledPeersTest : public testing::Test {
 protected:
  static SettledPeers::Time at(int ms) {
    return SettledPeers::Time() + std::chrono::milliseconds(ms);
  }
  PeerView view_{std::chrono::seconds(15)};
  SettledPeers peers_{std::chrono::milliseconds(250)};
  std::vector<net::IpAddress> own_{host(1)};
};

TEST_F(SettledPeersTest, TellFirstThatNobodyCounts) {
  EXPECT_FALSE(peers_.now());
  EXPECT_TRUE(peers_.update(view_, own_, at(0)));
  EXPECT_THAT(peers_.now()->tapped, IsEmpty());
  EXPECT_FALSE(peers_.update(view_, own_, at(1))) << "that is no news";
}

TEST_F(SettledPeersTest, ThisPodIsNoPeerOfItsOwn) {
  view_.apply("a", Snapshot{1, {host(1), host(2)}});
  peers_.update(view_, own_, at(0));
  EXPECT_EQ(peers_.due(), at(250));
  EXPECT_TRUE(peers_.update(view_, own_, at(250)));
  EXPECT_THAT(peers_.now()->tapped, ElementsAre(host(2)));
}

TEST_F(SettledPeersTest, PeersAndServicesSettleEachForThemselves) {
  view_.apply("a", Snapshot{1, {host(2)}, std::vector<net::IpAddress>{}});
  peers_.update(view_, own_, at(0));
  view_.apply("a", Snapshot{2, {host(2)}, std::vector{host(9)}});
  EXPECT_FALSE(peers_.update(view_, own_, at(100)));
  EXPECT_EQ(peers_.due(), at(250));
  EXPECT_TRUE(peers_.update(view_, own_, at(250)));
  EXPECT_THAT(peers_.now()->tapped, ElementsAre(host(2)));
  EXPECT_THAT(peers_.now()->services, Optional(IsEmpty()));
  EXPECT_EQ(peers_.due(), at(350));
  EXPECT_TRUE(peers_.update(view_, own_, at(350)));
  EXPECT_THAT(peers_.now()->services, Optional(ElementsAre(host(9))));
  EXPECT_FALSE(peers_.due());
}

}  // namespace
}  // namespace sidetap::registry
