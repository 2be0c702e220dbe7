// Which peers count as tapped, which packets are the tap's own, and what may change at run time.
#include "sidecar/ownership/engine.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/ownership_fixture.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

TEST_F(Ownership, StrangersPacketsAreNobodysHere) {
  EXPECT_EQ(one.rule(packet().from("10.0.0.5").to("10.0.0.6").udp(1, 2)), Rule::kNotSelf);
}

TEST_F(Ownership, UntappedPeerIsOwnedBothWays) {
  for (const char* peer : {"8.8.8.8", "10.0.0.254", "10.0.0.100"}) {
    EXPECT_EQ(one.sees(packet().from("10.0.0.1").to(peer).tcp(40000, 443)),
              (Decision{true, Rule::kPeerUntapped}));
    EXPECT_EQ(one.sees(packet().from(peer).to("10.0.0.1").udp(53, 40000)),
              (Decision{true, Rule::kPeerUntapped}));
  }
}

TEST_F(Ownership, ServiceViewIsLeftToTheBackend) {
  const PacketBuilder query = packet().from("10.0.0.1").to("10.96.0.10").udp(40000, 53);
  EXPECT_EQ(one.sees(query), (Decision{false, Rule::kServiceView}));
  EXPECT_EQ(one.sees(packet().from("fd00:96::a").to("fd00::1").udp(53, 40000)),
            (Decision{false, Rule::kServiceView}));
}

TEST_F(Ownership, ServiceViewIsKeptWhereNoBackendForwards) {
  const PacketBuilder query = packet().from("10.0.0.1").to("10.96.0.10").udp(40000, 53);
  EngineConfig c = pod_config(1);
  c.untapped_services = cidrs("10.96.0.10");
  c.service_view = ServiceView::kNever;
  EXPECT_TRUE(Pod(c).owns(query)) << "named, so kept whatever else is set";
  c = pod_config(1);
  c.tapped_peers = TappedPeers::none();
  EXPECT_TRUE(Pod(c).owns(query));
  c.service_view = ServiceView::kNever;
  EXPECT_FALSE(Pod(c).owns(query));
  c = pod_config(1);
  c.service_view = ServiceView::kAlways;
  EXPECT_EQ(Pod(c).sees(query), (Decision{true, Rule::kServiceViewKept}));
}

TEST_F(Ownership, AnIpv4LinkLocalPeerIsTappedOnlyWhereItIsNamed) {
  const char* const kDnsCache = "169.254.20.10";
  for (Pod* pod : {&one, &two}) {
    const char* const self = pod == &one ? "10.0.0.1" : "10.0.0.2";
    EXPECT_EQ(pod->sees(packet().from(self).to(kDnsCache).udp(40000, 53)),
              (Decision{true, Rule::kPeerUntapped}));
    EXPECT_EQ(pod->sees(packet().from(kDnsCache).to(self).udp(53, 40000)),
              (Decision{true, Rule::kPeerUntapped}));
  }
  EngineConfig c = pod_config(1);
  c.tapped_peers = tapped("169.254.7.2");
  EXPECT_EQ(Pod(c).rule(packet().from("10.0.0.1").to("169.254.7.2").udp(40000, 53)),
            Rule::kEphemeralPort);
}

TEST_F(Ownership, OfServicesThatAreKnownThoseWithTappedBackendsOnlyAreDropped) {
  auto c = pod_config(1);
  c.untapped_services = cidrs("10.96.0.9");
  Pod pod(c);
  const auto asks = [&](const char* service) {
    return pod.owns(packet().from("10.0.0.1").to(service).udp(40000, 53));
  };
  TappedPeers peers = tapped("10.0.0.2");
  peers.tapped_services = cidrs("10.96.0.1,10.96.0.9,fd00:96::1");
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(peers));
  EXPECT_FALSE(asks("10.96.0.1"));
  EXPECT_TRUE(asks("10.96.0.2"));
  EXPECT_TRUE(asks("10.96.0.9")) << "the configuration's word";
  EXPECT_FALSE(pod.owns(packet().from("fd00::1").to("fd00:96::1").udp(40000, 53)));
  EXPECT_TRUE(pod.owns(packet().from("fd00:96::2").to("fd00::1").udp(53, 40000)));
  peers.tapped_services = cidrs("10.96.0.2");
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(peers));
  EXPECT_TRUE(asks("10.96.0.1"));
  EXPECT_FALSE(asks("10.96.0.2"));
  peers.tapped_services.reset();
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(peers));
  EXPECT_FALSE(asks("10.96.0.1")) << "somebody is tapped";
}

TEST_F(Ownership, OwnTrafficIsNeverOwnedNorItsErrorsNorItsFragments) {
  one.engine.set_own_endpoints(
      {{capture::IpProtocol::kUdp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003}});
  const PacketBuilder sent = packet().from("10.0.0.1").to("192.0.2.1").udp(40001, 2003);
  EXPECT_EQ(one.rule(sent), Rule::kOwnTraffic);
  EXPECT_EQ(one.rule(packet().from("192.0.2.1").to("10.0.0.1").udp(2003, 40001)),
            Rule::kOwnTraffic);
  EXPECT_EQ(one.rule(packet().from("8.8.8.8").to("10.0.0.1").icmp(3, sent.network())),
            Rule::kOwnTraffic);
  EXPECT_EQ(one.rule(packet().from("10.0.0.1").to("192.0.2.1").udp(0, 0).fragment(1, 9, false)),
            Rule::kOwnTraffic);
  EXPECT_TRUE(one.owns(packet().from("10.0.0.1").to("192.0.2.1").udp(40002, 2003)));
}

TEST_F(Ownership, WhateverThePodSendsToASensorsPortIsATapsTraffic) {
  one.engine.set_own_endpoints({{.protocol = capture::IpProtocol::kTcp,
                                 .local = {},
                                 .local_port = 40001,
                                 .remote = ip("192.0.2.1"),
                                 .remote_port = 2003,
                                 .every_local_port = true}});
  for (const auto port : {std::uint16_t{40001}, std::uint16_t{40009}}) {
    EXPECT_EQ(one.rule(packet().from("10.0.0.1").to("192.0.2.1").tcp(port, 2003)),
              Rule::kOwnTraffic);
    EXPECT_EQ(one.rule(packet().from("192.0.2.1").to("10.0.0.1").tcp(2003, port)),
              Rule::kOwnTraffic);
  }
  EXPECT_TRUE(one.owns(packet().from("10.0.0.1").to("192.0.2.1").tcp(40001, 443)));
  EXPECT_TRUE(one.owns(packet().from("10.0.0.1").to("192.0.2.1").udp(40001, 2003)));
}

TEST_F(Ownership, ASensorBesideTheApplicationIsReachedByTheLoopbackInterface) {
  one.engine.set_own_endpoints({{.protocol = capture::IpProtocol::kUdp,
                                 .local = {},
                                 .local_port = 40001,
                                 .remote = ip("127.0.0.1"),
                                 .remote_port = 4789}});
  EXPECT_EQ(one.rule(packet().from("127.0.0.1").to("127.0.0.1").udp(40001, 4789)),
            Rule::kOwnTraffic);
  EXPECT_NE(one.rule(packet().from("127.0.0.1").to("127.0.0.1").udp(40002, 4789)),
            Rule::kOwnTraffic);
}

TEST_F(Ownership, APortOfTheTapIsItsOwnAtThisPodOnly) {
  one.engine.set_own_endpoints(
      {{.protocol = capture::IpProtocol::kTcp, .local = {}, .local_port = 15920, .remote = {}}});
  const auto probe = [](const char* from, std::uint16_t from_port, const char* to,
                        std::uint16_t to_port) {
    return packet().from(from).to(to).tcp(from_port, to_port);
  };
  EXPECT_EQ(one.rule(probe("8.8.8.8", 40001, "10.0.0.1", 15920).syn()), Rule::kOwnTraffic);
  EXPECT_EQ(one.rule(probe("10.0.0.1", 15920, "8.8.8.8", 40001).syn_ack()), Rule::kOwnTraffic);
  EXPECT_TRUE(one.owns(probe("10.0.0.1", 40001, "8.8.8.8", 15920).syn()));
  EXPECT_TRUE(one.owns(probe("8.8.8.8", 15920, "10.0.0.1", 40001).syn_ack()));
  // Fragments without ports would be those of the pod as well.
  EXPECT_TRUE(one.owns(probe("8.8.8.8", 0, "10.0.0.1", 0).fragment(1, 9, false)));
}

TEST_F(Ownership, ChangesTakeEffectWithTheNextPacket) {
  const PacketBuilder p = there().udp(40000, 53);
  EXPECT_FALSE(one.owns(p));
  one.engine.set_tapped_peers(std::make_shared<const TappedPeers>(TappedPeers::none()));
  EXPECT_EQ(one.rule(p), Rule::kPeerUntapped);
  Self moved;
  moved.addresses = {ip("10.0.0.77")};
  one.engine.set_self(moved);
  EXPECT_EQ(one.rule(p), Rule::kNotSelf);
}

TEST_F(Ownership, MappedAddressesAreTheirIpv4Addresses) {
  EngineConfig c = pod_config(1);
  c.self.addresses = {ip("::ffff:10.0.0.1")};
  EXPECT_EQ(Pod(c).rule(packet().from("10.0.0.1").to("8.8.8.8").udp(1, 2)), Rule::kPeerUntapped);
}

TEST_F(Ownership, AGatewayIsTappedOnlyWhereItIsNamedItself) {
  const auto from_gateway = packet().from("10.0.0.254").to("10.0.0.1").udp(53, 40000);
  const Bytes asked = arp(kBroadcastMac, mac(9), ip("10.0.0.254"), ip("10.0.0.1"));
  const std::vector<net::Cidr> subnets = {net::Cidr::parse("10.0.0.0/24").value()};
  EngineConfig c = pod_config(1);
  for (const TappedPeers& peers : {tapped("10.0.0.0/24"), TappedPeers::all(subnets)}) {
    c.tapped_peers = peers;
    EXPECT_EQ(Pod(c).rule(from_gateway), Rule::kPeerUntapped);
    EXPECT_EQ(Pod(c).sees(asked).rule, Rule::kGroupFromUntapped);
  }
  const std::vector<net::IpAddress> hosts = {ip("10.0.0.254")};
  for (const TappedPeers& peers : {tapped("10.0.0.254"), TappedPeers::named(hosts)}) {
    c.tapped_peers = peers;
    EXPECT_EQ(Pod(c).rule(from_gateway), Rule::kEphemeralPort);
    EXPECT_EQ(Pod(c).sees(asked).rule, Rule::kGroupFromTapped);
  }
}

TEST_F(Ownership, GatewaysMayChange) {
  const auto from_gateway = packet().from("10.0.0.253").to("10.0.0.1").udp(53, 40000);
  EXPECT_EQ(one.rule(from_gateway), Rule::kEphemeralPort);
  one.engine.set_gateways({ip("10.0.0.253")});
  EXPECT_EQ(one.rule(from_gateway), Rule::kPeerUntapped);
}

TEST(Rules, EveryOneHasItsOwnName) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kRuleCount; ++i) {
    EXPECT_FALSE(rule_text(static_cast<Rule>(i)).empty());
    names.insert(rule_name(static_cast<Rule>(i)));
  }
  EXPECT_EQ(names.size(), kRuleCount);
}

}  // namespace
}  // namespace sidetap::ownership
