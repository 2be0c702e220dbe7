// What the registry's knowledge of Services changes: partly tapped Services, ports of servers,
// front ends, and taps that apply older rules.
#include <chrono>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/ownership_fixture.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

constexpr std::uint8_t kTcpNumber = 6;
constexpr std::uint8_t kUdpNumber = 17;
constexpr std::uint8_t kSctpNumber = 132;

net::TransportAddress end(const char* address, std::uint16_t port,
                          std::uint8_t protocol = kTcpNumber) {
  return {ip(address), protocol, port};
}

class ServiceFactsOfEngine : public Ownership {
 protected:
  ServiceFactsOfEngine() { peers.tapped_services = net::CidrSet(); }
  void tell(Pod& pod) const {
    pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(peers));
  }
  void tell() {
    tell(one);
    tell(two);
  }
  void client_owns(std::vector<net::TransportAddress> endpoints) {
    peers.client_owned = TransportSet(endpoints);
  }
  void ports_are(std::vector<net::TransportAddress> ports) { peers.server_ports = PortSet(ports); }
  void front_ends_are(std::vector<net::TransportAddress> list) {
    peers.front_ends = TransportSet(list);
  }

  TappedPeers peers = tapped("10.0.0.1,10.0.0.2,fd00::1,fd00::2");
};

TEST_F(ServiceFactsOfEngine, OfAPartlyTappedServiceTheClientOwnsBothDirections) {
  client_owns({end("10.0.0.2", 8080), end("fd00::2", 53, kUdpNumber)});
  tell();
  EXPECT_TRUE(one_owns(there().tcp(40000, 8080).syn()));
  EXPECT_TRUE(one_owns(back().tcp(8080, 40000).syn_ack()));
  EXPECT_TRUE(one_owns(there().tcp(40000, 8080)));
  EXPECT_EQ(one.rule(there().tcp(40000, 8080)), Rule::kClientOwned);
  EXPECT_TRUE(one_owns(there6().udp(40000, 53)));
  EXPECT_TRUE(one_owns(back6().udp(53, 40000)));
  // Another port, another protocol, and the pod as a client are as ever.
  EXPECT_FALSE(one_owns(there().tcp(40000, 8081).syn()));
  EXPECT_FALSE(one_owns(there().udp(40000, 8080)));
  EXPECT_TRUE(one_owns(back().tcp(40000, 8080).syn()));
  EXPECT_TRUE(two.owns(packet().from("10.0.0.100").to("10.0.0.2").tcp(40000, 8080).syn()))
      << "an untapped client";
}

TEST_F(ServiceFactsOfEngine, ErrorsAndFragmentsOfAPartlyTappedServiceFollowItsFlows) {
  client_owns({end("10.0.0.2", 53, kUdpNumber)});
  tell();
  EXPECT_TRUE(one_owns(back().icmp(3, there().udp(40000, 53).network())));
  EXPECT_TRUE(one_owns(there().udp(40000, 53).fragment(7, 0, true)));
  EXPECT_TRUE(one_owns(there().udp(40000, 53).fragment(7, 1, false)));
  client_owns({end("10.0.0.2", 80)});
  tell();
  EXPECT_TRUE(one_owns(back().icmp(3, there().tcp(40000, 80).network())));
}

TEST_F(ServiceFactsOfEngine, AFlowChangesItsOwnerWithTheFacts) {
  tell();
  EXPECT_FALSE(one_owns(there().tcp(40000, 8080).syn()));
  client_owns({end("10.0.0.2", 8080)});
  tell();
  EXPECT_TRUE(one_owns(there().tcp(40000, 8080)));
  client_owns({});
  tell();
  EXPECT_FALSE(one_owns(there().tcp(40000, 8080)));
}

TEST_F(ServiceFactsOfEngine, TheOnlyPortOfAServiceNamesTheServer) {
  ports_are({end("0.0.0.0", 50053, kUdpNumber), end("0.0.0.0", 40000, kSctpNumber),
             end("0.0.0.0", 50051)});
  tell();
  // The client's port is the lower one, or outside of the ephemeral range.
  EXPECT_FALSE(one_owns(there().udp(40000, 50053)));
  EXPECT_FALSE(one_owns(there().udp(4000, 50053)));
  EXPECT_FALSE(one_owns(back().udp(50053, 4000)));
  EXPECT_EQ(one.rule(there().udp(4000, 50053)), Rule::kServerPort);
  EXPECT_FALSE(one_owns(there().ports(kSctpNumber, 2905, 40000)));
  EXPECT_TRUE(one_owns(there().ports(kSctpNumber, 2905, 50053))) << "of UDP only";
  // Both are Services' ports: as without them.
  EXPECT_TRUE(one_owns(there().udp(50053, 50053)));
  // TCP first seen midway, where nobody listens any more.
  EXPECT_FALSE(one_owns(there().tcp(4001, 50051)));
  EXPECT_EQ(two.rule(there().tcp(4001, 50051)), Rule::kServerPort);
  EXPECT_EQ(two.sockets.asked, 0);
}

TEST_F(ServiceFactsOfEngine, WhileTheServerPortsChangeWhoeverOwnsByEitherListOwns) {
  peers.former_server_ports = PortSet();
  ports_are({end("0.0.0.0", 50053, kUdpNumber), end("0.0.0.0", 50051)});
  tell(one);
  const PacketBuilder asked = there().udp(4000, 50053);
  EXPECT_TRUE(one.owns(asked)) << "by the former";
  EXPECT_TRUE(two.owns(asked) || one.owns(asked));
  EXPECT_TRUE(one.owns(there().tcp(4000, 50051)));
  peers.former_server_ports.reset();
  tell();
  EXPECT_FALSE(one_owns(asked));
  EXPECT_FALSE(one_owns(there().tcp(4000, 50051))) << "nothing was remembered meanwhile";
}

TEST_F(ServiceFactsOfEngine, OlderTapsAreMetWithOlderRules) {
  client_owns({end("10.0.0.2", 8080)});
  ports_are({end("0.0.0.0", 50053, kUdpNumber)});
  tell();
  peers.older = cidrs("10.0.0.1");
  tell(two);
  EXPECT_TRUE(two.owns(there().tcp(40000, 8080).syn()));
  EXPECT_FALSE(two.owns(there().udp(4000, 50053)));
}

TEST_F(ServiceFactsOfEngine, WithoutSubnetsTheRegistryNamesTheServices) {
  EngineConfig config = pod_config(1);
  config.service_subnets = net::CidrSet();
  Pod pod(config);
  peers.tapped_services = cidrs("10.96.0.10,fd00:96::a");
  tell(pod);
  EXPECT_EQ(pod.rule(packet().from("10.0.0.1").to("10.96.0.10").tcp(40000, 80)),
            Rule::kServiceView);
  EXPECT_FALSE(pod.owns(packet().from("fd00::1").to("fd00:96::a").tcp(40000, 80)));
  EXPECT_TRUE(pod.owns(packet().from("10.0.0.1").to("10.96.0.11").tcp(40000, 80)));
}

TEST_F(ServiceFactsOfEngine, WhatNoBackendGetsOfAClusterIpIsKept) {
  peers.tapped_services = cidrs("10.96.0.10,fd00:96::a");
  tell();
  EXPECT_TRUE(one.owns(packet().from("10.0.0.1").to("10.96.0.10").echo(true)));
  EXPECT_TRUE(one.owns(packet().from("10.96.0.10").to("10.0.0.1").echo(false)));
  EXPECT_TRUE(one.owns(packet().from("fd00::1").to("fd00:96::a").echo(true)));
  EXPECT_TRUE(
      one.owns(packet().from("10.0.0.1").to("10.96.0.10").echo(true).fragment(3, 1, false)));
  EXPECT_TRUE(one.owns(packet().from("10.0.0.1").to("10.96.0.10").ports(47, 0, 0)));
  const Bytes query = packet().from("10.96.0.10").to("10.0.0.1").udp(53, 40000).network();
  EXPECT_FALSE(one.owns(packet().from("10.0.0.1").to("10.96.0.10").icmp(3, query)))
      << "the node translates errors like the flows that they quote";
}

TEST_F(ServiceFactsOfEngine, FrontEndsOfTappedServicesAreLeftToTheBackends) {
  peers.nodes = cidrs("172.18.0.2,10.0.0.254,fd00:172::2");
  front_ends_are({end("203.0.113.7", 80), end("0.0.0.0", 30080), end("172.18.0.3", 30090),
                  end("::", 30053, kUdpNumber)});
  tell();
  const auto asks = [&](const char* to, std::uint16_t port) {
    return one.owns(packet().from("10.0.0.1").to(to).tcp(40000, port));
  };
  EXPECT_FALSE(asks("203.0.113.7", 80));
  EXPECT_FALSE(one.owns(packet().from("203.0.113.7").to("10.0.0.1").tcp(80, 40000)));
  EXPECT_TRUE(asks("203.0.113.7", 443));
  EXPECT_FALSE(asks("172.18.0.2", 30080)) << "every node";
  EXPECT_FALSE(asks("10.0.0.254", 30080)) << "the pod's gateway, which is a node";
  EXPECT_TRUE(asks("172.18.0.9", 30080)) << "no node";
  EXPECT_FALSE(asks("172.18.0.3", 30090)) << "one node";
  EXPECT_TRUE(asks("172.18.0.2", 30090));
  EXPECT_TRUE(asks("172.18.0.2", 22));
  EXPECT_FALSE(one.owns(packet().from("fd00::1").to("fd00:172::2").udp(40000, 30053)));
  EXPECT_TRUE(one.owns(packet().from("fd00::1").to("fd00:172::2").tcp(40000, 30053)));
  EXPECT_TRUE(one.owns(packet().from("10.0.0.1").to("203.0.113.7").echo(true)));
  const auto view =
      capture::parse_packet(capture::LinkType::kEthernet,
                            packet().from("10.0.0.1").to("203.0.113.7").tcp(40000, 80).ethernet());
  EXPECT_TRUE(one.engine.is_left_to_peer(view));
}

TEST_F(ServiceFactsOfEngine, FragmentsOfAFrontEndFollowTheFirst) {
  front_ends_are({end("203.0.113.7", 53, kUdpNumber)});
  tell();
  const auto part = [](std::uint16_t port, std::uint32_t id, unsigned number) {
    return packet()
        .from("10.0.0.1")
        .to("203.0.113.7")
        .udp(40000, port)
        .fragment(id, number, number < 1);
  };
  EXPECT_TRUE(one.owns(part(53, 6, 1))) << "first not seen";
  EXPECT_FALSE(one.owns(part(53, 7, 0)));
  EXPECT_FALSE(one.owns(part(53, 7, 1)));
  EXPECT_TRUE(one.owns(part(54, 8, 0)));
  EXPECT_TRUE(one.owns(part(54, 8, 1)));
}

TEST_F(ServiceFactsOfEngine, APacketIsDecidedByTheFactsOfItsMoment) {
  client_owns({end("10.0.0.2", 53, kUdpNumber)});
  const Moment since{std::chrono::hours(1)};
  one.engine.set_tapped_peers(std::make_shared<const TappedPeers>(tapped("10.0.0.1,10.0.0.2")));
  one.engine.set_tapped_peers(std::make_shared<const TappedPeers>(peers), since);
  const Bytes bytes = there().udp(40000, 53).ethernet();
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, bytes);
  EXPECT_FALSE(one.engine.decide(view, since - std::chrono::milliseconds(1)).owned);
  EXPECT_TRUE(one.engine.decide(view, since).owned);
}

TEST_F(ServiceFactsOfEngine, WithoutPodSubnetsWhatIsNotOnTheLinkIsBeyondAGateway) {
  EngineConfig config = pod_config(1);
  config.pod_subnets = net::CidrSet();
  config.self.on_link = cidrs("10.0.0.0/24,fd00::/64");
  Pod pod(config);
  tell(pod);
  // The next hop of what leaves the link has no tap: its multicast is owned.
  pod.owns(packet().from("10.0.0.1").to("192.0.2.1").udp(1, 2).destination_mac(mac(77)));
  EXPECT_TRUE(pod.owns(packet()
                           .from("fe80::77")
                           .to("ff02::1")
                           .udp(1, 2)
                           .source_mac(mac(77))
                           .destination_mac(kBroadcastMac)));
}

}  // namespace
}  // namespace sidetap::ownership
