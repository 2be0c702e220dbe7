#include "sidecar/ownership/engine.h"

#include <array>
#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

class Ownership : public testing::Test {
 protected:
  /// The two taps of a direct packet: exactly one of them owns it. Returns whether it is `one`.
  bool one_owns(const PacketBuilder& p) {
    const bool a = one.owns(p);
    const bool b = two.owns(p);
    EXPECT_NE(a, b) << rule_name(one.rule(p)) << " and " << rule_name(two.rule(p));
    return a;
  }
  static PacketBuilder there() { return packet().from("10.0.0.1").to("10.0.0.2"); }
  static PacketBuilder back() { return packet().from("10.0.0.2").to("10.0.0.1"); }
  static PacketBuilder there6() { return packet().from("fd00::1").to("fd00::2"); }
  static PacketBuilder back6() { return packet().from("fd00::2").to("fd00::1"); }

  Pod one{1};
  Pod two{2};
};

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

TEST_F(Ownership, TcpServerOwnsBothDirectionsWhateverThePorts) {
  for (const auto& [client, server] : {std::pair{40000, 443}, std::pair{80, 61616},
                                       std::pair{50051, 50051}, std::pair{0, 65535}}) {
    const auto c = static_cast<std::uint16_t>(client);
    const auto s = static_cast<std::uint16_t>(server);
    EXPECT_FALSE(one_owns(there().tcp(c, s).syn()));
    EXPECT_FALSE(one_owns(back().tcp(s, c).syn_ack()));
    EXPECT_FALSE(one_owns(there().tcp(c, s)));
    EXPECT_FALSE(one_owns(back6().tcp(s, c).syn_ack()));
    EXPECT_FALSE(one_owns(back6().tcp(s, c)));
  }
}

TEST_F(Ownership, TcpSynAfterDataTurnsTheFlowRound) {
  EXPECT_FALSE(one_owns(there().tcp(5000, 6000).syn()));
  EXPECT_FALSE(one_owns(there().tcp(5000, 6000)));
  EXPECT_TRUE(one_owns(back().tcp(6000, 5000).syn()));
  EXPECT_TRUE(one_owns(there().tcp(5000, 6000).syn_ack()));
  EXPECT_TRUE(one_owns(back().tcp(6000, 5000)));
}

TEST_F(Ownership, TcpSimultaneousOpenGoesToTheLowerPort) {
  const PacketBuilder from_one = there().tcp(7000, 6000).syn();
  const PacketBuilder from_two = back().tcp(6000, 7000).syn();
  // Each tap sees its own SYN first; the packets cross on the way.
  EXPECT_FALSE(one.owns(from_one));
  EXPECT_FALSE(two.owns(from_two));
  EXPECT_TRUE(one.owns(from_two));
  EXPECT_TRUE(two.owns(from_one));
  EXPECT_TRUE(one_owns(there().tcp(7000, 6000).syn_ack()));
  EXPECT_FALSE(one_owns(back().tcp(6000, 7000).syn_ack()));
  EXPECT_FALSE(one_owns(there().tcp(7000, 6000)));
  EXPECT_FALSE(one_owns(back().tcp(6000, 7000)));
}

TEST_F(Ownership, TcpSynThatNobodyAnsweredDoesNotCountWhenTheOtherEndOpens) {
  for (const auto port : std::to_array<std::uint16_t>({6000, 7000, 8000})) {
    EXPECT_FALSE(one.owns(there().tcp(7000, port).syn()));  // never got to the other pod
    EXPECT_TRUE(one_owns(back().tcp(port, 7000).syn()));
    EXPECT_TRUE(one_owns(there().tcp(7000, port).syn_ack()));
    EXPECT_TRUE(one_owns(back().tcp(port, 7000)));
    EXPECT_TRUE(one_owns(there().tcp(7000, port)));
  }
}

TEST_F(Ownership, TcpAnswerThatNeverCameDoesNotCountWhenItsSenderOpens) {
  for (const auto port : std::to_array<std::uint16_t>({6000, 7000, 8000})) {
    EXPECT_FALSE(one_owns(there().tcp(7000, port).syn()));
    EXPECT_TRUE(two.owns(back().tcp(port, 7000).syn_ack()));  // lost, and given up
    EXPECT_TRUE(one_owns(back().tcp(port, 7000).syn()));
    EXPECT_TRUE(one_owns(there().tcp(7000, port).syn_ack()));
    EXPECT_TRUE(one_owns(back().tcp(port, 7000)));
    EXPECT_TRUE(one_owns(there().tcp(7000, port)));
  }
}

TEST_F(Ownership, TcpMidwayListenerIsTheServer) {
  two.sockets.ports = {50051};
  EXPECT_FALSE(one_owns(there().tcp(40000, 50051)));
  EXPECT_EQ(two.rule(back().tcp(50051, 40000)), Rule::kTcpListening);
}

TEST_F(Ownership, TcpMidwayWithoutListenerGoesByPorts) {
  EXPECT_FALSE(one_owns(there().tcp(40000, 80)));
  EXPECT_TRUE(one_owns(there().tcp(100, 200)));
  EXPECT_TRUE(one_owns(there().tcp(100, 100)));
}

TEST_F(Ownership, ListenersAreAskedOncePerFlowAndNeverAfterAHandshake) {
  two.owns(there().tcp(40000, 80).syn());
  for (int i = 0; i < 5; ++i) two.owns(there().tcp(40000, 80));
  EXPECT_EQ(two.sockets.asked, 0);
  for (int i = 0; i < 5; ++i) two.owns(there().tcp(40001, 80));
  EXPECT_EQ(two.sockets.asked, 1);
}

TEST_F(Ownership, DatagramServerIsTheEndWithoutEphemeralPort) {
  for (const std::uint8_t protocol : {std::uint8_t{17}, std::uint8_t{33}, std::uint8_t{132}}) {
    EXPECT_FALSE(one_owns(there().ports(protocol, 40000, 61616)));
    EXPECT_FALSE(one_owns(back().ports(protocol, 61616, 40000)));
    EXPECT_FALSE(one_owns(there6().ports(protocol, 40000, 53)));
    EXPECT_TRUE(one_owns(there().ports(protocol, 53, 54)));
    EXPECT_TRUE(one_owns(back().ports(protocol, 7946, 7946)));
  }
}

TEST_F(Ownership, ConfiguredServerPortOutweighsTheRange) {
  EngineConfig c = pod_config(2);
  c.server_ports = {40053};
  Pod server(c);
  EXPECT_EQ(server.sees(there().udp(39999, 40053)), (Decision{true, Rule::kServerPort}));
}

TEST_F(Ownership, EchoBelongsToTheOneAsked) {
  EXPECT_FALSE(one_owns(there().echo(true)));
  EXPECT_FALSE(one_owns(back().echo(false)));
  EXPECT_TRUE(one_owns(back6().echo(true)));
  EXPECT_TRUE(one_owns(there6().echo(false)));
}

TEST_F(Ownership, IcmpErrorFollowsTheQuotedFlow) {
  const Bytes query = there().udp(40000, 53).network();
  EXPECT_FALSE(one_owns(back().icmp(3, query)));
  EXPECT_EQ(two.rule(back().icmp(3, query)), Rule::kQuotedFlow);
  const Bytes answer = back6().udp(53, 40000).network();
  EXPECT_FALSE(one_owns(there6().icmp(1, answer)));
  EXPECT_FALSE(one_owns(back().icmp(3, there().echo(true).network())));

  // TCP: the handshake of the quoted flow counts, not its ports.
  one_owns(there().tcp(80, 61616).syn());
  EXPECT_FALSE(one_owns(back().icmp(3, there().tcp(80, 61616).network())));
}

TEST_F(Ownership, IcmpErrorOfARouterIsOwnedByItsReceiver) {
  const Bytes lost = there().udp(40000, 53).network();
  EXPECT_EQ(one.sees(packet().from("10.0.0.254").to("10.0.0.1").icmp(11, lost)),
            (Decision{true, Rule::kPeerUntapped}));
}

TEST_F(Ownership, IcmpErrorWithoutReadableQuoteIsItsSenders) {
  EXPECT_FALSE(one_owns(back().icmp(3)));
  EXPECT_FALSE(
      one_owns(back().icmp(3, packet().from("1.1.1.1").to("2.2.2.2").udp(1, 2).network())));
}

TEST_F(Ownership, OtherProtocolsGoToTheLowerAddress) {
  EXPECT_TRUE(one_owns(there().protocol(47)));
  EXPECT_TRUE(one_owns(back().protocol(50)));
  EXPECT_TRUE(one_owns(back6().protocol(41)));
}

TEST_F(Ownership, LaterFragmentsFollowTheFirst) {
  EXPECT_FALSE(one_owns(there().udp(40000, 53).fragment(5, 0, true)));
  EXPECT_FALSE(one_owns(there().udp(40000, 53).fragment(5, 100, false)));
  EXPECT_EQ(two.rule(there().udp(0, 0).fragment(5, 50, true)), Rule::kFragment);
  EXPECT_TRUE(one_owns(there().udp(0, 0).fragment(6, 50, true))) << "first part not seen";
  EXPECT_FALSE(one_owns(there6().udp(40000, 53).fragment(0x12345678, 0, true)));
  EXPECT_FALSE(one_owns(there6().udp(40000, 53).fragment(0x12345678, 9, false)));
}

TEST_F(Ownership, FragmentsFollowTheFirstBehindExtensionHeadersToo) {
  // Destination options behind the fragment header: the later fragments name these as protocol.
  Bytes options_and_udp = {std::byte{17}, std::byte{0}, std::byte{1}, std::byte{4},
                           std::byte{0},  std::byte{0}, std::byte{0}, std::byte{0}};
  const Bytes udp = packet().udp(40000, 53).network();
  options_and_udp.insert(options_and_udp.end(), udp.begin() + 20, udp.end());
  EXPECT_FALSE(one_owns(there6().payload(options_and_udp).protocol(60).fragment(0x1234, 0, true)));
  EXPECT_EQ(two.rule(there6().protocol(60).fragment(0x1234, 9, false)), Rule::kFragment);
  EXPECT_FALSE(one_owns(there6().protocol(60).fragment(0x1234, 9, false)));
}

TEST_F(Ownership, AHandshakeBeforeThePeerHadATapIsRemembered) {
  const std::vector<net::IpAddress> both = {ip("10.0.0.1"), ip("10.0.0.2")};
  const auto everybody = std::make_shared<const TappedPeers>(TappedPeers::named(both));
  EngineConfig c = pod_config(2);
  c.tapped_peers = TappedPeers::none();
  for (const bool peers_change : {false, true}) {
    c.peers_change = peers_change;
    Pod server(c);
    EXPECT_TRUE(server.owns(there().tcp(80, 61616).syn()));
    EXPECT_TRUE(server.owns(back().tcp(61616, 80).syn_ack()));
    EXPECT_TRUE(server.owns(there().tcp(80, 61616)));
    EXPECT_EQ(server.engine.flows(), peers_change ? 1U : 0U);
    server.engine.set_tapped_peers(everybody);
    EXPECT_EQ(server.owns(there().tcp(80, 61616)), peers_change) << "the ports tell wrong";
  }
}

TEST_F(Ownership, OfHandshakesBeforeTheTapTheLastCounts) {
  EngineConfig c = pod_config(2);
  c.tapped_peers = TappedPeers::none();
  c.peers_change = true;
  Pod pod(c);
  pod.owns(there().tcp(7000, 6000).syn());
  pod.owns(there().tcp(7000, 6000).flags(0x11));
  pod.owns(back().tcp(6000, 7000).syn());
  const std::vector<net::IpAddress> peer = {ip("10.0.0.1")};
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(TappedPeers::named(peer)));
  EXPECT_EQ(pod.sees(there().tcp(7000, 6000)), (Decision{false, Rule::kTcpFlow}));
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

TEST_F(Ownership, ArpIsTheSenders) {
  const Bytes asked = arp(kBroadcastMac, mac(1), ip("10.0.0.1"), ip("10.0.0.2"));
  EXPECT_EQ(one.sees(asked).rule, Rule::kGroupSent);
  EXPECT_EQ(two.sees(asked).rule, Rule::kGroupFromTapped);
  const Bytes gateway = arp(kBroadcastMac, mac(9), ip("10.0.0.254"), ip("10.0.0.2"));
  EXPECT_EQ(two.sees(gateway), (Decision{true, Rule::kGroupFromUntapped}));
  EXPECT_EQ(one.sees(arp(mac(5), mac(9), ip("10.0.0.254"), ip("10.0.0.5"))).rule, Rule::kNotSelf);
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

TEST_F(Ownership, LinkControlComesFromTheBridge) {
  const Mac lldp{std::byte{1}, std::byte{0x80}, std::byte{0xc2},
                 std::byte{0}, std::byte{0},    std::byte{0x0e}};
  EXPECT_TRUE(one.sees(frame(lldp, mac(9), 0x88cc, Bytes(20))).owned);
  EXPECT_EQ(one.sees(frame(kBroadcastMac, mac(9), 0x88b5, Bytes(20))).rule,
            Rule::kGroupFromUnknown);
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

TEST_F(Ownership, TruncatedTransportIsTheSenders) {
  Bytes bytes = there().tcp(1, 2).ethernet();
  bytes.resize(14 + 20 + 3);
  EXPECT_EQ(one.sees(bytes), (Decision{true, Rule::kSender}));
  EXPECT_EQ(two.sees(bytes), (Decision{false, Rule::kSender}));
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
