// Which end of a flow is its server, whose tap owns both of its directions.
#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/ownership/engine.h"
#include "tests/unit/sidecar_ownership/ownership_fixture.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

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

TEST_F(Ownership, TruncatedTransportIsTheSenders) {
  Bytes bytes = there().tcp(1, 2).ethernet();
  bytes.resize(14 + 20 + 3);
  EXPECT_EQ(one.sees(bytes), (Decision{true, Rule::kSender}));
  EXPECT_EQ(two.sees(bytes), (Decision{false, Rule::kSender}));
}

}  // namespace
}  // namespace sidetap::ownership
