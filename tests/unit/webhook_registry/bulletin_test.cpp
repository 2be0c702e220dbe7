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
  EXPECT_EQ(read<wire::Snapshot>(bulletin_.news()->snapshot), wire::Snapshot{.version = 7});
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
  EXPECT_EQ(read<wire::Snapshot>(news.snapshot), (wire::Snapshot{9, {host(2), host(3)}}));
  EXPECT_EQ(read<wire::Change>(news.change), (wire::Change{8, 9, {host(3)}, {host(1)}}));
}

TEST_F(BulletinTest, AChangeThatNoMessageHoldsIsASnapshotOnly) {
  wire::Addresses many;
  for (std::uint32_t i = 0; i <= wire::kMostListedAddresses; ++i) many.push_back(host(i));
  bulletin_.taps().update(1, many, true);
  EXPECT_TRUE(bulletin_.publish());
  EXPECT_EQ(bulletin_.news()->change, nullptr);
  EXPECT_EQ(read<wire::Snapshot>(bulletin_.news()->snapshot).taps.size(),
            wire::kMostListedAddresses);
  bulletin_.taps().remove(1);
  EXPECT_TRUE(bulletin_.publish());
  EXPECT_EQ(bulletin_.news()->change, nullptr) << "removals are never left out";
  EXPECT_EQ(read<wire::Snapshot>(bulletin_.news()->snapshot).taps.size(), 0U);
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
