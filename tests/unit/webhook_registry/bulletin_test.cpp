#include "webhook/registry/bulletin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "tests/support/addresses.h"

namespace sidetap::webhook::registry {
namespace {

namespace wire = sidetap::registry;
using testing::ElementsAre;

template <typename T>
T read(const std::shared_ptr<const std::string>& text) {
  return std::get<T>(wire::decode_registry_message(*text).value());
}

class BulletinTest : public testing::Test {
 protected:
  Figures figures_;
  Bulletin bulletin_{7, nullptr, figures_};
};

TEST_F(BulletinTest, BeginsWithAnEmptySnapshot) {
  EXPECT_FALSE(bulletin_.due());
  EXPECT_FALSE(bulletin_.publish());
  EXPECT_EQ(read<wire::Snapshot>(bulletin_.news()->snapshot),
            (wire::Snapshot{.version = 7, .rules = wire::kRules}));
  EXPECT_EQ(bulletin_.news()->change, nullptr);
}

TEST_F(BulletinTest, AVersionIsASnapshotAndAChange) {
  bulletin_.taps().update(1, {host(1), host(2)}, true);
  EXPECT_TRUE(bulletin_.due());
  EXPECT_TRUE(bulletin_.publish());
  bulletin_.taps().update(1, {host(2), host(3)}, true);
  EXPECT_TRUE(bulletin_.publish());
  const News& news = *bulletin_.news();
  EXPECT_EQ(news.version, 9U);
  EXPECT_EQ(news.change_from, 8U);
  const auto snapshot = read<wire::Snapshot>(news.snapshot);
  EXPECT_EQ(snapshot.version, 9U);
  EXPECT_FALSE(snapshot.knows_services);
  EXPECT_THAT(snapshot.lists.taps, ElementsAre(host(2), host(3)));
  const auto change = read<wire::Change>(news.change);
  EXPECT_EQ(change.from, 8U);
  EXPECT_EQ(change.version, 9U);
  EXPECT_THAT(change.add.taps, ElementsAre(host(3)));
  EXPECT_THAT(change.remove.taps, ElementsAre(host(1)));
}

TEST_F(BulletinTest, TapsThatAreOlderComeInTheSameVersion) {
  bulletin_.taps().update(1, {host(1)}, true, 1);
  bulletin_.taps().update(2, {host(2)}, true, 2);
  EXPECT_TRUE(bulletin_.publish());
  EXPECT_THAT(read<wire::Snapshot>(bulletin_.news()->snapshot).lists.older, ElementsAre(host(1)));
  EXPECT_THAT(read<wire::Change>(bulletin_.news()->change).add.older, ElementsAre(host(1)));
}

TEST_F(BulletinTest, AChangeThatNoMessageHoldsIsASnapshotOnly) {
  wire::Addresses some, others;
  for (std::uint32_t i = 0; i < wire::kMostListedAddresses; ++i) {
    some.push_back(host(i));
    others.push_back(host(0x100000U + i));
  }
  bulletin_.taps().update(1, some, true, 1);
  EXPECT_TRUE(bulletin_.publish());
  EXPECT_NE(bulletin_.news()->change, nullptr);
  bulletin_.taps().update(1, others, true, 1);
  EXPECT_TRUE(bulletin_.publish());
  EXPECT_EQ(bulletin_.news()->change, nullptr) << "removals are never left out";
  EXPECT_EQ(read<wire::Snapshot>(bulletin_.news()->snapshot).lists.taps, others);
}

TEST(BulletinOfServices, SaysInOneVersionWhatFollowsFromATap) {
  ServiceTable table;
  table.set_current(true);
  table.set_nodes_current(true);
  table.set_node({"a", {ip("172.18.0.1")}});
  ServiceFacts web{"shop/web", {ip("10.96.0.1")}};
  web.ports = {{{6, 80}, 30080}};
  table.set(web);
  SliceFacts backends{.name = "shop/web-1", .service = "shop/web", .v4 = true};
  backends.endpoints = {{host(1)}};
  backends.ports = {{6, 8080}};
  table.set(backends);
  Figures figures;
  Bulletin bulletin(7, &table, figures);
  bulletin.taps().update(1, {host(1)}, true);
  EXPECT_TRUE(bulletin.publish());
  const auto snapshot = read<wire::Snapshot>(bulletin.news()->snapshot);
  EXPECT_TRUE(snapshot.knows_services);
  EXPECT_EQ(snapshot.rules, wire::kRules);
  EXPECT_THAT(snapshot.lists.services, ElementsAre(ip("10.96.0.1")));
  EXPECT_THAT(snapshot.lists.nodes, ElementsAre(ip("172.18.0.1")));
  EXPECT_EQ(snapshot.lists.server_ports.size(), 1U);
  EXPECT_EQ(snapshot.lists.front_ends.size(), 1U);
  const auto first = read<wire::Change>(bulletin.news()->change);
  EXPECT_EQ(first.add, snapshot.lists) << "the snapshot before was empty";
  backends.endpoints.push_back({host(2)});
  table.set(backends);
  EXPECT_TRUE(bulletin.due());
  EXPECT_TRUE(bulletin.publish());
  const auto second = read<wire::Change>(bulletin.news()->change);
  EXPECT_EQ(second.add.client_owned.size(), 1U);
  EXPECT_EQ(second.remove.services, snapshot.lists.services);
  EXPECT_EQ(second.remove.front_ends, snapshot.lists.front_ends);
}

TEST_F(BulletinTest, TheCaStaysFromVersionToVersion) {
  const auto text = std::make_shared<const std::string>("ca");
  bulletin_.tell_ca(text);
  EXPECT_EQ(bulletin_.news()->version, 7U);
  bulletin_.taps().update(1, {host(1)}, true);
  bulletin_.publish();
  EXPECT_EQ(bulletin_.news()->ca, text);
  bulletin_.tell_ca(nullptr);
  EXPECT_EQ(bulletin_.news()->ca, nullptr);
}

}  // namespace
}  // namespace sidetap::webhook::registry
