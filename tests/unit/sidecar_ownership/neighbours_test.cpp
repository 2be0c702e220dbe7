// Which host on the link runs a tap, if only the MAC address identifies it.
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

/// MAC addresses: 1 and 2 are tapped pods, 9 the gateway 10.0.0.254, 100 the untapped 10.0.0.100.
class LinkNeighbours : public testing::Test {
 protected:
  static Bytes hello(unsigned host) {
    return packet()
        .from(net::IpAddress::v6(0xfe80000000000000ULL, host))
        .to("ff02::fb")
        .udp(5353, 5353)
        .source_mac(mac(host))
        .destination_mac(kBroadcastMac)
        .ethernet();
  }
  static Bytes nameless(unsigned host) {
    return packet()
        .from("0.0.0.0")
        .to("255.255.255.255")
        .udp(68, 67)
        .source_mac(mac(host))
        .destination_mac(kBroadcastMac)
        .ethernet();
  }
  static Bytes no_ip(unsigned host) { return frame(kBroadcastMac, mac(host), 0x88b5, Bytes(20)); }
  static Bytes claim(unsigned host, std::string_view address) {
    if (ip(address).is_v4()) return arp(kBroadcastMac, mac(host), ip(address), ip("10.0.0.1"));
    return packet()
        .from(address)
        .to("ff02::1:ff00:1")
        .icmp(135)
        .source_mac(mac(host))
        .destination_mac(kBroadcastMac)
        .ethernet();
  }
  static Bytes to_by(std::string_view destination, unsigned host) {
    return packet()
        .from(ip(destination).is_v4() ? "10.0.0.1" : "fd00::1")
        .to(destination)
        .udp(40000, 53)
        .destination_mac(mac(host))
        .ethernet();
  }
  static void expect(Pod& pod, unsigned host, Rule rule) {
    for (const Bytes& bytes : {hello(host), nameless(host), no_ip(host)})
      EXPECT_EQ(pod.sees(bytes).rule, rule) << rule_name(rule);
  }

  Pod one{1};
};

TEST_F(LinkNeighbours, SomebodyUnknownMayBeTapped) { expect(one, 9, Rule::kGroupFromUnknown); }

TEST_F(LinkNeighbours, WhereNobodyIsTappedNobodyIsUnknown) {
  one.engine.set_tapped_peers(std::make_shared<const TappedPeers>(TappedPeers::none()));
  expect(one, 9, Rule::kGroupFromUntapped);
}

TEST_F(LinkNeighbours, TheNextHopToOutsideIsNoPod) {
  for (const char* destination : {"8.8.8.8", "2001:db8::1", "10.96.0.10", "10.0.0.254"}) {
    Pod pod{1};
    pod.sees(to_by(destination, 9));
    expect(pod, 9, Rule::kGroupFromUntapped);
  }
}

TEST_F(LinkNeighbours, WhatComesFromOutsideSaysNothingOfItsSender) {
  // The answer of a NodePort, translated on the bridge, bears the MAC address of the pod behind it.
  one.sees(packet().from("172.18.0.11").to("10.0.0.1").tcp(30080, 40000).source_mac(mac(2)));
  expect(one, 2, Rule::kGroupFromUnknown);
}

TEST_F(LinkNeighbours, ANextHopIsKnownOnlyByWhatIsCertainlyOutside) {
  EngineConfig tapped_outside = pod_config(1);
  tapped_outside.tapped_peers = tapped("10.0.0.0/24,192.168.7.0/24");
  EngineConfig no_v6_subnets = pod_config(1);
  no_v6_subnets.pod_subnets = cidrs("10.0.0.0/24");
  for (const auto& [config, destination] :
       {std::pair(tapped_outside, "192.168.7.2"), std::pair(no_v6_subnets, "2001:db8::1")}) {
    Pod pod(config);
    pod.sees(to_by(destination, 2));
    expect(pod, 2, Rule::kGroupFromUnknown);
  }
}

TEST_F(LinkNeighbours, WhoClaimsAnUntappedAddressIsUntapped) {
  for (const char* address : {"10.0.0.100", "fd00::64", "10.0.0.254"}) {
    Pod pod{1};
    EXPECT_TRUE(pod.sees(claim(100, address)).owned);
    expect(pod, 100, Rule::kGroupFromUntapped);
    // Unicast with it too, both ways.
    const auto ours = packet().from("fe80::1").to("fe80::64").udp(40000, 53);
    const auto theirs = packet().from("fe80::64").to("fe80::1").udp(53, 40000);
    EXPECT_EQ(pod.rule(PacketBuilder(ours).destination_mac(mac(100))), Rule::kPeerUntapped);
    EXPECT_EQ(pod.rule(PacketBuilder(theirs).source_mac(mac(100))), Rule::kPeerUntapped);
  }
}

TEST_F(LinkNeighbours, WhoClaimsATappedAddressIsTappedWhateverElseItClaims) {
  one.sees(claim(2, "10.0.0.2"));
  for (const char* other : {"10.0.0.100", "10.0.0.101", "fd00::64", "192.0.2.7"})
    EXPECT_EQ(one.sees(claim(2, other)).rule, Rule::kGroupFromTapped);
  expect(one, 2, Rule::kGroupFromTapped);
}

TEST_F(LinkNeighbours, AnAddressOutsideThePodSubnetsSaysNothing) {
  one.sees(claim(2, "192.0.2.7"));
  expect(one, 2, Rule::kGroupFromUnknown);
}

TEST_F(LinkNeighbours, AGatewayMayAnswerForTappedPeersBehindIt) {
  one.sees(claim(9, "10.0.0.254"));
  EXPECT_EQ(one.sees(claim(9, "10.0.0.2")), (Decision{true, Rule::kGroupFromUntapped}));
  expect(one, 9, Rule::kGroupFromUntapped);
}

TEST_F(LinkNeighbours, RoutersAdvertiseUnlessTheyAreTapped) {
  const auto advertisement = packet().from("fe80::2").to("ff02::1").icmp(134).source_mac(mac(2));
  EXPECT_TRUE(one.owns(advertisement));
  one.sees(claim(2, "fd00::2"));
  EXPECT_FALSE(one.owns(advertisement));
}

TEST_F(LinkNeighbours, WhatIsKnownFollowsTheSetOfTappedPeers) {
  one.sees(claim(2, "10.0.0.2"));
  one.engine.set_tapped_peers(std::make_shared<const TappedPeers>(tapped("10.0.0.7")));
  expect(one, 2, Rule::kGroupFromUntapped);
}

TEST_F(LinkNeighbours, AServiceThatThePodHoldsItselfIsNoNextHop) {
  EngineConfig c = pod_config(1);
  c.self.addresses.push_back(ip("10.96.0.10"));
  Pod pod(c);
  pod.sees(to_by("10.96.0.10", 2));
  expect(pod, 2, Rule::kGroupFromUnknown);
}

TEST_F(LinkNeighbours, ThePodsOwnAddressIsNobodysClaim) {
  one.sees(claim(7, "fd00::1"));
  expect(one, 7, Rule::kGroupFromUnknown);
}

TEST(Neighbours, ManyStrangersDoNotDisplaceARouter) {
  Neighbours table(1);
  table.obtain(mac(9)).next_hop = true;
  for (unsigned i = 0; i < 100'000; ++i)
    table.obtain({std::byte{6}, std::byte{0}, std::byte(i >> 16), std::byte(i >> 8), std::byte(i)});
  ASSERT_NE(table.find(mac(9)), nullptr);
  EXPECT_TRUE(table.find(mac(9))->next_hop);
}

}  // namespace
}  // namespace sidetap::ownership
