// Two taps and the network between them, without a kernel: whatever two pods send to each other,
// each packet is owned exactly once.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

class Model : public testing::TestWithParam<unsigned> {
 protected:
  unsigned dice(unsigned sides) { return static_cast<unsigned>(random() % sides); }
  std::uint16_t any_port() {
    // Few ports, so that they collide and coincide, and sometimes any at all.
    static constexpr std::uint16_t kSome[] = {0, 53, 80, 7946, 32767, 32768, 50051, 60999, 61000};
    return dice(4) == 0 ? static_cast<std::uint16_t>(random())
                        : kSome[dice(static_cast<unsigned>(std::size(kSome)))];
  }
  PacketBuilder between(bool from_one, bool v6) {
    const char* a = v6 ? "fd00::1" : "10.0.0.1";
    const char* b = v6 ? "fd00::2" : "10.0.0.2";
    return packet()
        .from(from_one ? a : b)
        .to(from_one ? b : a)
        .source_mac(mac(from_one ? 1 : 2))
        .destination_mac(mac(from_one ? 2 : 1));
  }
  /// Of any kind, between the pods; some come in three fragments, one after the other. `number`
  /// grows by one with each.
  PacketBuilder next_packet(std::uint32_t number) {
    if (part_ == 0) {
      whole_ = between(dice(2) == 0, dice(2) == 0);
      static constexpr std::uint8_t kPorts[] = {17, 33, 132, 136};
      switch (dice(6)) {
        case 0:
          whole_.tcp(any_port(), any_port(), dice(2) == 0 ? 0x02 : 0x10);
          break;
        case 1:
          whole_.icmp(static_cast<std::uint8_t>(random()));
          break;
        default:
          whole_.ports(kPorts[dice(4)], any_port(), any_port());
          parts_ = dice(3) == 0 ? 3 : 1;
      }
    }
    PacketBuilder p = whole_;
    if (parts_ > 1) p.fragment(number - part_, part_, part_ + 1 < parts_);
    if (++part_ == parts_) part_ = 0, parts_ = 1;
    return p;
  }
  void expect_once(const PacketBuilder& p, const char* what) {
    const Bytes bytes = p.ethernet();
    const Decision a = one.sees(bytes);
    const Decision b = two.sees(bytes);
    ASSERT_NE(a.owned, b.owned) << what << ": " << rule_name(a.rule) << " and "
                                << rule_name(b.rule);
  }

  std::mt19937 random{GetParam()};
  Pod one{1};
  Pod two{2};

 private:
  PacketBuilder whole_ = packet();
  unsigned part_ = 0;
  unsigned parts_ = 1;
};

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
TEST_P(Model, TcpThroughAServiceIsExactAndInThePodView) {
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
TEST_P(Model, UdpThroughAServiceIsExactUnlessTheClientLooksLikeTheServer) {
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

/// Pod one's tap twice: one decides each packet as it passes, and the other reads its rings late.
class LateTap {
 public:
  /// A packet passes. `two_owns`: pod two's tap forwards it. `agreed`: both know that of each
  /// other.
  void pass(const Bytes& bytes, Moment now, bool two_owns, bool agreed) {
    const std::uint8_t protocol =
        capture::parse_packet(capture::LinkType::kEthernet, bytes).protocol;
    rings_[protocol == 132].push_back(
        {bytes, now, prompt_.sees(bytes), two_owns, agreed, protocol == 6});
  }
  void set_tapped_peers(const TappedPeers& peers, Moment now) {
    const auto shared = std::make_shared<const TappedPeers>(peers);
    prompt_.engine.set_tapped_peers(shared);
    late_.engine.set_tapped_peers(shared, now);
  }
  bool has_backlog() const { return !rings_[0].empty(); }
  /// Reads one of the two: it has to decide as if it had read each packet as it passed.
  void read(std::size_t ring) {
    for (const Passed& packet : rings_[ring]) {
      const auto view = capture::parse_packet(capture::LinkType::kEthernet, packet.bytes);
      const Decision decision = late_.engine.decide(view, packet.moment);
      ASSERT_EQ(decision, packet.prompt)
          << rule_name(decision.rule) << " instead of " << rule_name(packet.prompt.rule);
      if (packet.is_tcp) continue;  // of which two knows more: it has looked at every handshake
      ASSERT_TRUE(decision.owned || packet.two_owns) << "lost";
      if (packet.agreed) {
        ASSERT_NE(decision.owned, packet.two_owns) << "doubled";
      }
    }
    rings_[ring].clear();
  }

 private:
  struct Passed {
    Bytes bytes;
    Moment moment;
    Decision prompt;
    bool two_owns, agreed, is_tcp;
  };
  static EngineConfig config() {
    EngineConfig config = pod_config(1);
    config.tapped_peers = TappedPeers::none();
    config.peers_change = true;
    return config;
  }

  Pod prompt_{config()};
  Pod late_{config()};
  std::vector<Passed> rings_[2];  // SCTP has one of its own
};

/// Pod two's tap comes and goes while both rings of pod one's tap are read late, each by as much as
/// it happens. Pod one has to decide each packet as if it were read as it passes; then nothing is
/// lost, and what passes while both agree is forwarded once.
TEST_P(Model, PeersThatChangeBetweenStampAndReadChangeNothing) {
  LateTap late;
  Moment now{std::chrono::hours(1)};
  bool forwards = false;  // two's tap,
  bool counted = false;   // and one's leaves packets to it
  std::size_t changes = 0;
  std::size_t changes_in_backlog = 0;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    now += std::chrono::microseconds(1 + dice(1000));
    if (dice(20) == 0) {
      // It forwards before it is counted on, and until after.
      if (forwards == counted && !counted) {
        forwards = true;
      } else if (forwards != counted && dice(2) == 0) {
        forwards = false;
      } else {
        counted = !counted;
        changes_in_backlog += late.has_backlog();
        late.set_tapped_peers(counted ? tapped("10.0.0.2,fd00::2") : TappedPeers::none(), now);
        // Of more changes than are remembered none may be waited for.
        if (++changes % PeerHistory::kMostOlder == 0) {
          for (const std::size_t ring : {0U, 1U}) ASSERT_NO_FATAL_FAILURE(late.read(ring));
        }
      }
    }
    const Bytes bytes = next_packet(i).ethernet();
    const bool two_owns = two.sees(bytes).owned && forwards;
    late.pass(bytes, now, two_owns, forwards == counted);
    for (const std::size_t ring : {0U, 1U}) {
      if (dice(40) == 0) {
        ASSERT_NO_FATAL_FAILURE(late.read(ring));
      }
    }
  }
  EXPECT_GT(changes_in_backlog, 100U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Model, testing::Values(1U, 2U, 3U, 20251U));

}  // namespace
}  // namespace sidetap::ownership
