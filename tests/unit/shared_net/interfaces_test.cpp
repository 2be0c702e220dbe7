#include "shared/net/interfaces.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <thread>

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>

namespace sidetap::net {
namespace {

TEST(Interfaces, LoopbackIsThereWithItsIndexFlagsAndMtu) {
  const auto list = list_interfaces();
  ASSERT_TRUE(list);
  const auto lo =
      std::find_if(list->begin(), list->end(), [](const auto& i) { return i.name == "lo"; });
  ASSERT_NE(lo, list->end());
  EXPECT_EQ(lo->index, if_nametoindex("lo"));
  EXPECT_NE(lo->flags & IFF_LOOPBACK, 0U);
  EXPECT_GE(lo->mtu, 1280U);
}

/// Calls `body` in a network namespace of its own; false where that is not allowed.
bool in_own_namespace(const std::function<void()>& body) {
  bool made = false;
  // unshare() concerns the calling thread alone.
  std::thread([&] {
    made = unshare(CLONE_NEWNET) == 0;
    if (made) body();
  }).join();
  return made;
}

TEST(Interfaces, BroadcastIsThatOfTheSubnetWhereNoneWasSetExplicitly) {
  const bool made = in_own_namespace([] {
    ASSERT_EQ(
        std::system("ip link add d0 type veth peer name d1 && ip addr add 10.9.8.7/24 dev d0 &&"
                    "ip addr add 10.9.9.1/32 dev d0 && ip link set d0 up"),
        0);
    const auto list = list_interfaces();
    ASSERT_TRUE(list);
    const auto d0 =
        std::find_if(list->begin(), list->end(), [](const auto& i) { return i.name == "d0"; });
    ASSERT_NE(d0, list->end());
    for (const InterfaceAddress& address : d0->addresses) {
      if (!address.address.is_v4()) continue;
      const bool alone = address.prefix_length == 32;
      EXPECT_EQ(address.broadcast, alone ? IpAddress{} : *IpAddress::parse("10.9.8.255"));
    }
  });
  if (!made) GTEST_SKIP() << "no right to make a network namespace";
}

const Interface* find(const std::vector<Interface>& list, const std::string& name) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const auto& i) { return i.name == name; });
  return found == list.end() ? nullptr : &*found;
}

TEST(Interfaces, AnAddressWithALabelIsItsInterfaces) {
  const bool made = in_own_namespace([] {
    ASSERT_EQ(std::system("ip link add d0 type veth peer name d1 && ip link set d0 up && "
                          "ip addr add 10.9.8.7/24 dev d0 label d0:one"),
              0);
    const auto list = list_interfaces();
    ASSERT_TRUE(list);
    EXPECT_EQ(find(*list, "d0:one"), nullptr);
    const Interface* const d0 = find(*list, "d0");
    ASSERT_NE(d0, nullptr);
    EXPECT_TRUE(std::any_of(d0->addresses.begin(), d0->addresses.end(), [](const auto& address) {
      return address.address == *IpAddress::parse("10.9.8.7");
    }));
  });
  if (!made) GTEST_SKIP() << "no right to make a network namespace";
}

TEST(Interfaces, SaysWhichShareTheirMacAddressWithOthers) {
  const bool made = in_own_namespace([] {
    ASSERT_EQ(std::system("ip link add d0 type veth peer name d1 && ip link set d0 up"), 0);
    if (std::system("ip link add ipv0 link d0 type ipvlan mode l2 2>/dev/null") != 0)
      GTEST_SKIP() << "no ipvlan here";
    const auto list = list_interfaces();
    ASSERT_TRUE(list);
    const Interface* const d0 = find(*list, "d0");
    const Interface* const ipvlan = find(*list, "ipv0");
    ASSERT_TRUE(d0 != nullptr && ipvlan != nullptr);
    EXPECT_EQ(ipvlan->mac, d0->mac);
    EXPECT_TRUE(ipvlan->shares_mac);
    EXPECT_FALSE(d0->shares_mac);
  });
  if (!made) GTEST_SKIP() << "no right to make a network namespace";
}

TEST(DefaultGateways, EveryNextHopOfADefaultRouteIsOne) {
  const bool made = in_own_namespace([] {
    ASSERT_EQ(
        std::system(
            "ip link add d0 type veth peer name d1 && sysctl -qw net.ipv6.conf.d0.accept_dad=0 &&"
            "ip addr add 10.9.8.7/24 dev d0 && ip addr add fd00::7/64 dev d0 nodad &&"
            "ip link set d1 up && ip link set d0 up &&"
            "ip route add default nexthop via 10.9.8.1 nexthop via 10.9.8.2 &&"
            "ip route add default via inet6 fd00::3 metric 50 &&"
            "ip -6 route add default nexthop via fd00::1 nexthop via fd00::2 &&"
            "ip route add 0.0.0.0/1 via 10.9.8.9 && ip route add blackhole default metric 9"),
        0);
    std::vector<IpAddress> gateways;
    for (const char* text : {"10.9.8.1", "10.9.8.2", "fd00::1", "fd00::2", "fd00::3"})
      gateways.push_back(*IpAddress::parse(text));
    EXPECT_EQ(default_gateways(), gateways);
  });
  if (!made) GTEST_SKIP() << "no right to make a network namespace";
}

}  // namespace
}  // namespace sidetap::net
