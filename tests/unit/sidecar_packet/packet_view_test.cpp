#include "sidecar/packet/packet_view.h"

#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::capture {
namespace {

using namespace sidetap::test;

PacketView parse(const Bytes& bytes) { return parse_packet(LinkType::kEthernet, bytes); }

TEST(PacketView, ReadsTcpOverIpv4) {
  const Bytes bytes = packet().from("10.1.2.3").to("10.4.5.6").tcp(40000, 443).syn().ethernet();
  const PacketView v = parse(bytes);
  EXPECT_EQ(v.depth, Depth::kTransport);
  EXPECT_EQ(v.source, ip("10.1.2.3"));
  EXPECT_EQ(v.destination, ip("10.4.5.6"));
  EXPECT_EQ(v.protocol, 6);
  EXPECT_EQ(v.source_port, 40000);
  EXPECT_EQ(v.destination_port, 443);
  EXPECT_EQ(v.tcp_flags, kTcpSyn);
  EXPECT_EQ(v.network_offset, 14);
  EXPECT_EQ(v.transport_offset, 34);
  EXPECT_EQ(v.source_mac, mac(1));
  EXPECT_FALSE(v.link_group);
}

TEST(PacketView, FindsPortsBehindIpv4Options) {
  const Bytes bytes = packet().udp(53, 5353).ip_options(10).ethernet();
  const PacketView v = parse(bytes);
  EXPECT_EQ(v.transport_offset, 14 + 60);
  EXPECT_EQ(v.destination_port, 5353);
}

TEST(PacketView, LooksThroughFourVlanTagsAndNoMore) {
  const Bytes four =
      packet().udp(1, 2).vlan(0x88a8).vlan(0x8100).vlan(0x9100).vlan(0x8100).ethernet();
  EXPECT_EQ(parse(four).depth, Depth::kTransport);
  EXPECT_EQ(parse(four).ether_type, 0x0800);
  EXPECT_EQ(parse(four).network_offset, 14 + 16);
  const Bytes five = packet().udp(1, 2).vlan().vlan().vlan().vlan().vlan().ethernet();
  EXPECT_EQ(parse(five).depth, Depth::kLink);
}

TEST(PacketView, FindsPortsBehindIpv6ExtensionHeaders) {
  const Bytes bytes = packet()
                          .from("fd00::1")
                          .to("fd00::2")
                          .udp(7, 8)
                          .extension(0)
                          .extension(43, 2)
                          .extension(60, 1)
                          .ethernet();
  const PacketView v = parse(bytes);
  EXPECT_EQ(v.depth, Depth::kTransport);
  EXPECT_EQ(v.protocol, 17);
  EXPECT_EQ(v.source_port, 7);
  EXPECT_EQ(v.transport_offset, 14 + 40 + 8 + 24 + 16);
}

TEST(PacketView, GivesUpOnEndlessExtensionHeaders) {
  PacketBuilder p = packet().from("fd00::1").to("fd00::2").udp(7, 8);
  for (int i = 0; i < 40; ++i) p.extension(60);
  const Bytes bytes = p.ethernet();
  EXPECT_EQ(parse(bytes).depth, Depth::kNetwork);
}

TEST(PacketView, EveryProtocolWithPortsGivesThem) {
  for (const int number : {17, 33, 132, 136}) {
    const Bytes bytes = packet().ports(static_cast<std::uint8_t>(number), 1000, 2000).ethernet();
    EXPECT_EQ(parse(bytes).depth, Depth::kTransport) << number;
    EXPECT_EQ(parse(bytes).destination_port, 2000) << number;
  }
  const Bytes gre = packet().ports(47, 1000, 2000).ethernet();
  EXPECT_EQ(parse(gre).depth, Depth::kNetwork);
}

TEST(PacketView, FirstFragmentHasPortsLaterOnesHaveNot) {
  for (const auto& [a, b] : {std::pair{"10.0.0.1", "10.0.0.2"}, std::pair{"fd00::1", "fd00::2"}}) {
    const Bytes first = packet().from(a).to(b).udp(1, 2).fragment(77, 0, true).ethernet();
    const Bytes later = packet().from(a).to(b).udp(1, 2).fragment(77, 185, false).ethernet();
    EXPECT_TRUE(parse(first).fragment);
    EXPECT_TRUE(parse(first).first_fragment);
    EXPECT_EQ(parse(first).depth, Depth::kTransport);
    EXPECT_TRUE(parse(later).fragment);
    EXPECT_FALSE(parse(later).first_fragment);
    EXPECT_EQ(parse(later).depth, Depth::kNetwork);
    EXPECT_EQ(parse(later).protocol, 17);
    EXPECT_EQ(parse(first).fragment_id, 77U);
    EXPECT_EQ(parse(later).fragment_id, 77U);
  }
}

TEST(PacketView, AtomicIpv6FragmentIsWhole) {
  const Bytes bytes =
      packet().from("fd00::1").to("fd00::2").udp(1, 2).fragment(9, 0, false).ethernet();
  EXPECT_FALSE(parse(bytes).fragment);
  EXPECT_EQ(parse(bytes).depth, Depth::kTransport);
}

TEST(PacketView, IcmpErrorQuotesItsFlow) {
  const Bytes lost = packet().from("10.0.0.9").to("10.0.0.8").udp(5000, 53).network();
  const Bytes bytes = packet().from("10.0.0.8").to("10.0.0.9").icmp(3, lost).ethernet();
  const PacketView v = parse(bytes);
  ASSERT_TRUE(v.quote);
  EXPECT_EQ(v.quote->source, ip("10.0.0.9"));
  EXPECT_EQ(v.quote->destination_port, 53);
  EXPECT_TRUE(v.quote->has_ports);

  const Bytes ping = packet().from("fd00::9").to("fd00::8").echo(true).network();
  const Bytes error = packet().from("fd00::8").to("fd00::9").icmp(1, ping).ethernet();
  EXPECT_TRUE(parse(error).quote->is_echo);
  EXPECT_TRUE(parse(error).quote->echo_request);
}

TEST(PacketView, EchoCarriesNoQuote) {
  const Bytes inner = packet().udp(1, 2).network();
  const Bytes bytes = packet().icmp(8, inner).ethernet();
  EXPECT_FALSE(parse(bytes).quote);
  EXPECT_EQ(parse(bytes).icmp_type, 8);
}

TEST(PacketView, ArpNamesItsSender) {
  const Bytes bytes = arp(kBroadcastMac, mac(3), ip("10.0.0.3"), ip("10.0.0.4"));
  const PacketView v = parse(bytes);
  EXPECT_EQ(v.depth, Depth::kLink);
  EXPECT_TRUE(v.link_group);
  EXPECT_EQ(v.arp_sender, ip("10.0.0.3"));
}

TEST(PacketView, CookedLinksTellDirection) {
  const Bytes inner = packet().udp(1, 2).network();
  Bytes sll;
  put16(sll, 4);
  put16(sll, 1);
  put16(sll, 6);
  sll.resize(14);
  put16(sll, 0x0800);
  append(sll, inner);
  PacketView v = parse_packet(LinkType::kLinuxSll, sll);
  EXPECT_EQ(v.direction, Direction::kOutbound);
  EXPECT_EQ(v.destination_port, 2);

  Bytes sll2;
  put16(sll2, 0x0800);
  sll2.resize(10);
  put8(sll2, 2);
  sll2.resize(20);
  append(sll2, inner);
  v = parse_packet(LinkType::kLinuxSll2, sll2);
  EXPECT_EQ(v.direction, Direction::kInbound);
  EXPECT_TRUE(v.link_group);
  EXPECT_EQ(v.destination_port, 2);
}

TEST(PacketView, RawIpHasNoLinkHeader) {
  const Bytes bytes = packet().from("fd00::1").to("fd00::2").tcp(1, 2).network();
  const PacketView v = parse_packet(LinkType::kRawIp, bytes);
  EXPECT_EQ(v.depth, Depth::kTransport);
  EXPECT_FALSE(v.has_mac);
}

TEST(PacketView, EtherTypeAndVersionMustAgree) {
  Bytes bytes = packet().udp(1, 2).ethernet();
  bytes[14] = std::byte{0x65};
  EXPECT_EQ(parse(bytes).depth, Depth::kLink);
}

// Exact-size heap blocks, so that the address sanitizer sees every byte read too far.
TEST(PacketView, NeverReadsPastAnyTruncation) {
  const Bytes quote = packet().from("fd00::1").to("fd00::2").tcp(1, 2).extension(0).network();
  const std::vector<Bytes> wholes = {
      packet().tcp(1, 2).ip_options(3).vlan().ethernet(),
      packet().from("fd00::2").to("fd00::1").icmp(1, quote).extension(60, 1).ethernet(),
      packet().from("fd00::2").to("fd00::1").udp(1, 2).fragment(1, 0, true).ethernet(),
      arp(kBroadcastMac, mac(1), ip("10.0.0.1"), ip("10.0.0.2"))};
  for (const Bytes& whole : wholes) {
    Depth deepest = Depth::kNothing;
    for (std::size_t n = 0; n <= whole.size(); ++n) {
      const auto block = std::make_unique<std::byte[]>(n);
      std::copy_n(whole.begin(), n, block.get());
      const Depth depth = parse_packet(LinkType::kEthernet, {block.get(), n}).depth;
      EXPECT_GE(depth, deepest) << "longer must not be understood less, at " << n;
      deepest = depth;
    }
  }
}

TEST(PacketView, AnyBytesGiveAView) {
  std::mt19937 random(7);
  for (int i = 0; i < 200000; ++i) {
    const std::size_t n = random() % 96;
    const auto block = std::make_unique<std::byte[]>(n);
    for (std::size_t j = 0; j < n; ++j) block[j] = static_cast<std::byte>(random());
    if (n > 14) {
      block[12] = random() % 2 == 0 ? std::byte{0x08} : std::byte{0x86};
      block[13] = block[12] == std::byte{8} ? std::byte{0x00} : std::byte{0xdd};
      block[14] = block[12] == std::byte{8} ? std::byte{0x45} : std::byte{0x60};
    }
    for (const LinkType link :
         {LinkType::kEthernet, LinkType::kRawIp, LinkType::kLinuxSll, LinkType::kLinuxSll2}) {
      const PacketView v = parse_packet(link, {block.get(), n});
      ASSERT_LE(v.depth, Depth::kTransport);
    }
  }
}

}  // namespace
}  // namespace sidetap::capture
