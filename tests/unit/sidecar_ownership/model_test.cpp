// Whatever two tapped pods send to each other, directly or through a Service, is owned exactly
// once.
#include "tests/unit/sidecar_ownership/model.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

/// With facts of its own, and not with random ones.
class ServiceModel : public Model {};

TEST_P(Model, StatelessProtocolsAreExactInAnyOrder) {
  for (int i = 0; i < 20000; ++i) {
    const bool v6 = dice(2) == 0;
    PacketBuilder p = between(dice(2) == 0, v6);
    static constexpr std::uint8_t kPorts[] = {17, 33, 132, 136};
    switch (dice(4)) {
      case 0:
        p.icmp(static_cast<std::uint8_t>(random()));
        break;
      case 1:
        p.ports(static_cast<std::uint8_t>(200 + dice(50)), 1, 2);
        break;
      default:
        p.ports(kPorts[dice(4)], any_port(), any_port());
    }
    if (dice(5) == 0) p.fragment(dice(50), dice(3), true);
    if (dice(8) == 0) p.vlan();
    ASSERT_NO_FATAL_FAILURE(expect_once(p, "stateless"));
  }
}

TEST_P(Model, IcmpErrorsAboutAnyFlowAreExact) {
  for (int i = 0; i < 20000; ++i) {
    const bool v6 = dice(2) == 0;
    const bool from_one = dice(2) == 0;
    PacketBuilder lost = between(!from_one, v6);
    if (dice(3) == 0)
      lost.echo(dice(2) == 0);
    else
      lost.udp(any_port(), any_port());
    Bytes quote = lost.network();
    if (dice(4) == 0) quote.resize(dice(static_cast<unsigned>(quote.size())));
    ASSERT_NO_FATAL_FAILURE(
        expect_once(between(from_one, v6).icmp(v6 ? 1 : 3, quote), "ICMP error"));
  }
}

TEST_P(Model, GroupTrafficOfBothIsExact) {
  for (int i = 0; i < 5000; ++i) {
    const bool v6 = dice(2) == 0;
    PacketBuilder p = between(dice(2) == 0, v6);
    static constexpr const char* kV4[] = {"224.0.0.1", "255.255.255.255", "10.0.0.255"};
    p.to(v6 ? "ff02::1" : kV4[dice(3)]).destination_mac(kBroadcastMac);
    if (v6 && dice(2) == 0)
      p.icmp(static_cast<std::uint8_t>(130 + dice(8)));
    else
      p.udp(any_port(), any_port());
    ASSERT_NO_FATAL_FAILURE(expect_once(p, "group"));
  }
}

/// Connections with both ends opening, retransmissions, reuse of ports in either direction, resets
/// and errors quoting them; both taps see the packets in the order of the wire.
TEST_P(Model, TcpSeenFromItsStartIsExact) {
  for (int connection = 0; connection < 1500; ++connection) {
    const bool v6 = dice(2) == 0;
    const bool one_opens = dice(2) == 0;
    const std::uint16_t p1 = any_port();
    const std::uint16_t p2 = any_port();
    const auto segment = [&](bool from_one) {
      return between(from_one, v6).tcp(from_one ? p1 : p2, from_one ? p2 : p1);
    };
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(one_opens).syn(), "SYN"));
    if (dice(3) == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_once(segment(one_opens).syn(), "SYN again"));
    }
    if (dice(6) == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_once(segment(!one_opens).syn(), "SYN back"));
    }
    if (dice(8) != 0) {
      ASSERT_NO_FATAL_FAILURE(expect_once(segment(!one_opens).syn_ack(), "SYN+ACK"));
    }
    for (unsigned n = dice(8); n > 0; --n) {
      static constexpr std::uint8_t kFlags[] = {0x10, 0x18, 0x11, 0x04, 0x14, 0x00, 0x29, 0x07};
      ASSERT_NO_FATAL_FAILURE(expect_once(segment(dice(2) == 0).flags(kFlags[dice(8)]), "segment"));
      const bool from_one = dice(2) == 0;
      if (dice(4) == 0) {
        ASSERT_NO_FATAL_FAILURE(
            expect_once(between(from_one, v6).icmp(v6 ? 2 : 3, segment(!from_one).network()),
                        "error about a segment"));
      }
    }
  }
}

/// A connection that was attempted before, in either direction. Its packets were lost on the way,
/// so only one tap has seen them.
TEST_P(Model, TcpAfterAnAttemptThatFailedIsExact) {
  for (int i = 0; i < 3000; ++i) {
    const bool v6 = dice(2) == 0;
    const bool one_tried = dice(2) == 0;
    const std::uint16_t p1 = any_port();
    const std::uint16_t p2 = any_port();
    const auto segment = [&](bool from_one) {
      return between(from_one, v6).tcp(from_one ? p1 : p2, from_one ? p2 : p1);
    };
    if (dice(2) == 0) {
      (one_tried ? one : two).owns(segment(one_tried).syn());
    } else {
      ASSERT_NO_FATAL_FAILURE(expect_once(segment(one_tried).syn(), "SYN"));
      (one_tried ? two : one).owns(segment(!one_tried).syn_ack());
    }
    const bool one_opens = dice(2) == 0;
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(one_opens).syn(), "SYN"));
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(!one_opens).syn_ack(), "SYN+ACK"));
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(one_opens), "data"));
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(!one_opens), "data"));
  }
}

/// SYNs that cross on the way reach the two taps in different order.
TEST_P(Model, TcpSimultaneousOpenIsExact) {
  for (int i = 0; i < 3000; ++i) {
    const bool v6 = dice(2) == 0;
    const std::uint16_t p1 = any_port();
    const std::uint16_t p2 = any_port();
    const auto segment = [&](bool from_one) {
      return between(from_one, v6).tcp(from_one ? p1 : p2, from_one ? p2 : p1);
    };
    std::vector<PacketBuilder> at_one = {segment(true).syn(), segment(false).syn(),
                                         segment(true).syn_ack(), segment(false).syn_ack()};
    std::vector<PacketBuilder> at_two = {segment(false).syn(), segment(true).syn(),
                                         segment(false).syn_ack(), segment(true).syn_ack()};
    bool owned_one[4], owned_two[4];
    for (std::size_t k = 0; k < 4; ++k) owned_one[k] = one.owns(at_one[k]);
    for (std::size_t k = 0; k < 4; ++k) owned_two[k] = two.owns(at_two[k]);
    for (std::size_t k = 0; k < 4; ++k) EXPECT_NE(owned_one[k], owned_two[k ^ 1]);
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(true), "data"));
    ASSERT_NO_FATAL_FAILURE(expect_once(segment(false), "data"));
  }
}

/// Documented limits: the server listens, and the client's port is ephemeral or, where the server's
/// is not ephemeral either, it is the higher one.
TEST_P(Model, TcpSeenMidwayIsExactForOrdinaryClients) {
  for (int i = 0; i < 3000; ++i) {
    const bool v6 = dice(2) == 0;
    const bool one_serves = dice(2) == 0;
    const auto server = static_cast<std::uint16_t>(1 + dice(65535));
    const auto client = static_cast<std::uint16_t>(32768 + dice(60999 - 32768 + 1));
    one.sockets.ports = one_serves ? std::set<std::uint16_t>{server} : std::set<std::uint16_t>{};
    two.sockets.ports = one_serves ? std::set<std::uint16_t>{} : std::set<std::uint16_t>{server};
    for (int n = 0; n < 3; ++n) {
      const bool from_server = dice(2) == 0;
      ASSERT_NO_FATAL_FAILURE(
          expect_once(between(from_server == one_serves, v6)
                          .tcp(from_server ? server : client, from_server ? client : server),
                      "midway"));
    }
  }
}

/// Through a VIP the client's tap sees other addresses than the server's: the server owns the pod
/// view, the client nothing.
TEST_P(ServiceModel, TcpThroughAServiceIsExactAndInThePodView) {
  for (int i = 0; i < 3000; ++i) {
    const std::uint16_t client = any_port();
    const std::uint16_t vip = any_port();
    const std::uint16_t target = any_port();
    const auto views = [&](bool request, std::uint8_t flags) {
      PacketBuilder at_client = packet();
      PacketBuilder at_server = between(request, false);
      if (request) {
        at_client.from("10.0.0.1").to("10.96.0.10").tcp(client, vip, flags);
        at_server.tcp(client, target, flags);
      } else {
        at_client.from("10.96.0.10").to("10.0.0.1").tcp(vip, client, flags);
        at_server.tcp(target, client, flags);
      }
      EXPECT_FALSE(one.owns(at_client));
      EXPECT_TRUE(two.owns(at_server));
    };
    views(true, 0x02);
    views(false, 0x12);
    for (unsigned n = dice(4); n > 0; --n) views(dice(2) == 0, 0x18);
  }
}

/// The same for UDP, where only the ports count: the server's tap must recognize the server by
/// them. If the ports say otherwise, which is documented, the packet is lost, never duplicated. If
/// the port is configured as a server's, it is not lost.
TEST_P(ServiceModel, UdpThroughAServiceIsExactUnlessTheClientLooksLikeTheServer) {
  unsigned exact = 0;
  unsigned lost = 0;
  for (int i = 0; i < 6000; ++i) {
    const bool client_is_one = dice(2) == 0;  // whose address is the lower one
    const std::uint16_t client = any_port();
    const std::uint16_t target = any_port();
    const bool request = dice(2) == 0;
    const std::string pod = client_is_one ? "10.0.0.1" : "10.0.0.2";
    const PacketBuilder at_client = request ? packet().from(pod).to("10.96.0.10").udp(client, 53)
                                            : packet().from("10.96.0.10").to(pod).udp(53, client);
    const PacketBuilder at_server = between(request == client_is_one, false)
                                        .udp(request ? client : target, request ? target : client);
    const PortRange range;
    const bool looks_like_server = range.contains(client) != range.contains(target)
                                       ? range.contains(target)
                                   : client != target ? client < target
                                                      : client_is_one;
    Pod& client_tap = client_is_one ? one : two;
    Pod& server_tap = client_is_one ? two : one;
    EXPECT_FALSE(client_tap.owns(at_client));
    EXPECT_EQ(server_tap.owns(at_server), !looks_like_server) << client << " > " << target;
    ++(looks_like_server ? lost : exact);
    if (client == target) continue;
    EngineConfig c = pod_config(client_is_one ? 2 : 1);
    c.server_ports = {target};
    c.flow_capacity = 8;  // tables of the usual size take long to make, with a sanitizer above all
    c.fragment_capacity = 4;
    EXPECT_TRUE(Pod(c).owns(at_server));
  }
  EXPECT_GT(exact, 1000U);
  EXPECT_GT(lost, 1000U);
}

/// A tapped client and a tapped endpoint of a Service that has untapped ones too: the client owns
/// what it exchanges with it, through the cluster IP and directly.
TEST_P(ServiceModel, PartlyTappedServiceIsExactInTheClientsView) {
  for (int i = 0; i < 3000; ++i) {
    const std::uint16_t client = any_port();
    const std::uint16_t vip = any_port();
    const std::uint16_t target = any_port();
    if (client == target) continue;  // then the endpoint may take the client for the server
    TappedPeers peers = tapped("10.0.0.1,10.0.0.2");
    peers.tapped_services = net::CidrSet();
    const std::uint8_t protocol = dice(2) == 0 ? 6 : 17;
    const std::vector<net::TransportAddress> endpoints{{ip("10.0.0.2"), protocol, target}};
    peers.client_owned = TransportSet(endpoints);
    peers.server_ports = PortSet(endpoints);
    const auto shared = std::make_shared<const TappedPeers>(peers);
    one.engine.set_tapped_peers(shared);
    two.engine.set_tapped_peers(shared);
    // First with a handshake, then midway on other ports of the client.
    for (const bool request : {true, false}) {
      const std::uint8_t flags = i % 2 == 0 ? 0x18 : request ? 0x02 : 0x12;
      const auto put = [&](PacketBuilder p, std::uint16_t from, std::uint16_t to) {
        return protocol == 6 ? p.tcp(from, to, flags) : p.udp(from, to);
      };
      const PacketBuilder view = request
                                     ? put(packet().from("10.0.0.1").to("10.96.0.10"), client, vip)
                                     : put(packet().from("10.96.0.10").to("10.0.0.1"), vip, client);
      const PacketBuilder direct =
          put(between(request, false), request ? client : target, request ? target : client);
      EXPECT_TRUE(one.owns(view));
      EXPECT_FALSE(two.owns(direct)) << client << " > " << target;
      EXPECT_TRUE(one.owns(direct)) << client << " > " << target;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ServiceModel, testing::ValuesIn(seeds_without_facts()));
INSTANTIATE_TEST_SUITE_P(Seeds, Model, testing::ValuesIn(seeds_of_models()));

}  // namespace
}  // namespace sidetap::ownership
