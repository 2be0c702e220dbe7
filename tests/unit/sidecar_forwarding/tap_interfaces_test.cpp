#include "sidecar/forwarding/tap_interfaces.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::forwarding {
namespace {

class TapInterfacesTest : public testing::Test {
 protected:
  void know(std::uint32_t origin, std::string description,
            std::vector<net::IpAddress> addresses = {}) {
    identities_->add(origin, {.from = ip("10.0.0.7"),
                              .description = std::move(description),
                              .interface = "eth0",
                              .addresses = std::move(addresses)});
  }
  std::uint32_t add(std::uint32_t origin) {
    return interfaces_.add(origin, interfaces_.meet(origin));
  }

  std::shared_ptr<TapIdentities> identities_ = std::make_shared<TapIdentities>();
  TapInterfaces interfaces_{identities_};
};

TEST_F(TapInterfacesTest, AreNumberedInTheOrderOfTheirFirstPackets) {
  know(30, "shop/web-1");
  know(20, "shop/web-2");
  EXPECT_EQ(interfaces_.find(30), std::nullopt);
  EXPECT_EQ(add(30), 0U);
  EXPECT_EQ(interfaces_.find(20), std::nullopt);
  EXPECT_EQ(add(20), 1U);
  EXPECT_EQ(interfaces_.find(30), 0U);
  EXPECT_EQ(interfaces_.find(20), 1U);
  interfaces_.clear();
  EXPECT_EQ(interfaces_.find(20), std::nullopt);
  EXPECT_EQ(add(20), 0U);
}

TEST_F(TapInterfacesTest, AreCalledAfterThePodAsFarAsItIsKnown) {
  know(1, "shop/web-1");
  know(2, "web-1");
  know(3, "");
  EXPECT_EQ(interfaces_.meet(1).label.name, "shop/web-1 eth0");
  EXPECT_EQ(interfaces_.meet(1).label.description, "k8s.podName=web-1;k8s.namespace=shop");
  EXPECT_EQ(interfaces_.meet(2).label.name, "web-1 eth0");
  EXPECT_EQ(interfaces_.meet(3).label.name, "10.0.0.7 eth0");
  EXPECT_EQ(interfaces_.meet(4).label.name, "tap 4");
  EXPECT_EQ(interfaces_.meet(4).label.description, "");
}

TEST_F(TapInterfacesTest, NameTheAddressesThatOnlyThePodHas) {
  know(1, "shop/web-1", {ip("127.0.0.1"), ip("10.0.0.7"), ip("fe80::7"), ip("10.0.0.7")});
  const auto names = interfaces_.meet(1).names;
  ASSERT_EQ(names.size(), 1U);
  EXPECT_EQ(names[0].address, ip("10.0.0.7"));
  EXPECT_EQ(names[0].name, "web-1.shop");
  know(2, "", {ip("10.0.0.8")});
  EXPECT_TRUE(interfaces_.meet(2).names.empty());
}

TEST_F(TapInterfacesTest, StayThePodsWhenItsTapComesAgain) {
  know(1, "shop/db-0", {ip("10.0.0.7")});
  add(1);
  identities_->gone(1);
  know(2, "shop/db-0", {ip("10.0.0.7"), ip("10.0.0.9")});
  const auto again = interfaces_.meet(2);
  EXPECT_EQ(again.interface, 0U);
  ASSERT_EQ(again.names.size(), 1U) << "the new address alone";
  EXPECT_EQ(again.names[0].address, ip("10.0.0.9"));
  EXPECT_EQ(add(2), 0U);
  know(3, "bank/db-0", {ip("10.0.0.7")});
  EXPECT_EQ(add(3), 1U) << "another namespace is another pod";
}

TEST_F(TapInterfacesTest, AreBoundedWhateverATapSays) {
  std::vector<net::IpAddress> many;
  for (std::uint32_t i = 1; i <= 1000; ++i) many.push_back(host(i));
  know(1, std::string(70'000, 'n') + "/" + std::string(70'000, 'p'), many);
  EXPECT_EQ(interfaces_.meet(1).names.size(), TapInterfaces::kMostAddresses);
  EXPECT_LT(interfaces_.meet(1).label.name.size(), 1'000U);
  EXPECT_LT(interfaces_.meet(1).label.description.size(), 1'000U);
  add(1);
  EXPECT_TRUE(interfaces_.meet(1).names.empty());
}

TEST_F(TapInterfacesTest, OutliveAnyNumberOfReturns) {
  for (std::uint32_t origin = 1; origin <= TapInterfaces::kMostOrigins + 2; ++origin) {
    know(origin, "shop/web-1");
    EXPECT_EQ(add(origin), 0U);
    identities_->gone(origin);
  }
  EXPECT_EQ(interfaces_.find(1), std::nullopt) << "looked up again";
  EXPECT_FALSE(interfaces_.is_full());
}

TEST_F(TapInterfacesTest, AreFullInTheEnd) {
  for (std::uint32_t origin = 1; origin <= TapInterfaces::kMost; ++origin) {
    EXPECT_FALSE(interfaces_.is_full());
    add(origin);
  }
  EXPECT_TRUE(interfaces_.is_full());
}

}  // namespace
}  // namespace sidetap::forwarding
