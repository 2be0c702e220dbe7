// What belongs to the link alone: groups, ARP, neighbor discovery, and echoes that a bridge
// returns.
#include <cstdint>

#include <gtest/gtest.h>

#include "sidecar/ownership/engine.h"
#include "tests/unit/sidecar_ownership/ownership_fixture.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

TEST_F(Ownership, MulticastAndBroadcastAreTheSenders) {
  for (const char* group : {"224.0.0.251", "255.255.255.255", "10.0.0.255"}) {
    EXPECT_TRUE(one_owns(packet().from("10.0.0.1").to(group).udp(5353, 5353))) << group;
    EXPECT_EQ(one.rule(packet().from("10.0.0.100").to(group).udp(1, 2)), Rule::kGroupFromUntapped);
  }
  EXPECT_TRUE(one_owns(packet().from("fd00::1").to("ff02::fb").udp(5353, 5353)));
}

TEST_F(Ownership, ReturnedMulticastIsAnEcho) {
  const Bytes sent = packet().from("10.0.0.1").to("224.0.0.5").udp(1, 2).ethernet();
  EXPECT_EQ(one.sees(sent, capture::Direction::kInbound), (Decision{false, Rule::kReturned}));
  EXPECT_EQ(one.sees(sent, capture::Direction::kOutbound), (Decision{true, Rule::kGroupSent}));
}

TEST_F(Ownership, ReturnedUnicastIsAnEcho) {
  const Bytes sent = there().udp(40000, 53).ethernet();
  EXPECT_EQ(two.sees(sent, capture::Direction::kInbound), (Decision{true, Rule::kEphemeralPort}));
  for (const Bytes& bytes :
       {packet().from("10.0.0.1").to("8.8.8.8").tcp(40000, 443).ethernet(),
        packet().from("10.0.0.1").to("10.0.0.100").udp(1, 2).fragment(1, 9, false).ethernet(),
        there6().icmp(135).ethernet(), arp(mac(5), mac(1), ip("10.0.0.1"), ip("10.0.0.5"))}) {
    EXPECT_TRUE(one.sees(bytes, capture::Direction::kOutbound).owned);
    EXPECT_EQ(one.sees(bytes, capture::Direction::kInbound), (Decision{false, Rule::kReturned}));
  }
  // Through its own Service a pod's packet comes back from itself, for itself.
  EXPECT_TRUE(one.sees(packet().from("10.0.0.1").to("10.0.0.1").tcp(40000, 80).ethernet(),
                       capture::Direction::kInbound)
                  .owned);
}

TEST_F(Ownership, WhatComesInFromAMacOfThePodsAloneIsAnEchoWhateverItsAddresses) {
  EngineConfig config = pod_config(1);
  config.self.senders = {mac(9), mac(1)};
  Pod alone(config);
  for (const unsigned interface : {1U, 9U}) {
    const auto from_own_mac = [&](const char* address) {
      return packet().from(address).source_mac(mac(interface)).udp(1, 2);
    };
    // The gateway's address by masquerade; a tapped peer's and an outside one by other rules.
    for (const char* address : {"10.0.0.254", "10.0.0.100", "10.0.0.2", "8.8.8.8", "0.0.0.0"}) {
      const Bytes echo =
          from_own_mac(address).to("239.1.2.3").destination_mac(kBroadcastMac).ethernet();
      EXPECT_EQ(alone.sees(echo, capture::Direction::kInbound), (Decision{false, Rule::kReturned}))
          << address;
    }
    const Bytes flooded = from_own_mac("10.0.0.254").to("10.0.0.100").ethernet();
    EXPECT_EQ(alone.sees(flooded, capture::Direction::kInbound),
              (Decision{false, Rule::kReturned}));
    const Bytes asked = arp(kBroadcastMac, mac(interface), ip("10.0.0.2"), ip("10.0.0.9"));
    EXPECT_EQ(alone.sees(asked, capture::Direction::kInbound), (Decision{false, Rule::kReturned}));
    const Bytes through_service = from_own_mac("10.0.0.254").to("10.0.0.1").ethernet();
    EXPECT_TRUE(alone.sees(through_service, capture::Direction::kInbound).owned)
        << "to itself, with both addresses translated on the bridge";
  }
}

TEST_F(Ownership, OnALinkWhereOthersHaveTheMacTooItIsNotWhatTellsAnEcho) {
  const Bytes sibling =
      packet().from("10.0.0.100").source_mac(mac(1)).to("239.1.2.3").udp(1, 2).ethernet();
  EXPECT_EQ(one.sees(sibling, capture::Direction::kInbound),
            (Decision{true, Rule::kGroupFromUntapped}));
}

TEST_F(Ownership, NeighbourDiscoveryIsTheSendersEvenInUnicast) {
  for (const std::uint8_t type : {std::uint8_t{135}, std::uint8_t{136}}) {
    EXPECT_TRUE(one_owns(there6().icmp(type)));
    EXPECT_FALSE(one_owns(back6().icmp(type)));
    EXPECT_TRUE(one.owns(packet().from("fd00::fe").to("fd00::1").icmp(type)));
  }
}

TEST_F(Ownership, SenderWithoutAddressIsKnownByItsMac) {
  const PacketBuilder discover = packet()
                                     .from("0.0.0.0")
                                     .to("255.255.255.255")
                                     .udp(68, 67)
                                     .source_mac(mac(1))
                                     .destination_mac(kBroadcastMac);
  EXPECT_TRUE(one_owns(discover));
  EXPECT_TRUE(one_owns(packet().from("::").to("ff02::1:ff00:1").icmp(135).source_mac(mac(1))));
}

TEST_F(Ownership, ArpIsTheSenders) {
  const Bytes asked = arp(kBroadcastMac, mac(1), ip("10.0.0.1"), ip("10.0.0.2"));
  EXPECT_EQ(one.sees(asked).rule, Rule::kGroupSent);
  EXPECT_EQ(two.sees(asked).rule, Rule::kGroupFromTapped);
  const Bytes gateway = arp(kBroadcastMac, mac(9), ip("10.0.0.254"), ip("10.0.0.2"));
  EXPECT_EQ(two.sees(gateway), (Decision{true, Rule::kGroupFromUntapped}));
  EXPECT_EQ(one.sees(arp(mac(5), mac(9), ip("10.0.0.254"), ip("10.0.0.5"))).rule, Rule::kNotSelf);
}

TEST_F(Ownership, LinkControlComesFromTheBridge) {
  const Mac lldp{std::byte{1}, std::byte{0x80}, std::byte{0xc2},
                 std::byte{0}, std::byte{0},    std::byte{0x0e}};
  EXPECT_TRUE(one.sees(frame(lldp, mac(9), 0x88cc, Bytes(20))).owned);
  EXPECT_EQ(one.sees(frame(kBroadcastMac, mac(9), 0x88b5, Bytes(20))).rule,
            Rule::kGroupFromUnknown);
}

}  // namespace
}  // namespace sidetap::ownership
