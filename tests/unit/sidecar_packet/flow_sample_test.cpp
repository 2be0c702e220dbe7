#include "sidecar/packet/flow_sample.h"

#include <cstdint>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::capture {
namespace {

using namespace sidetap::test;

bool chosen(const Bytes& bytes, std::uint32_t one_in) {
  return is_in_sample(parse_packet(LinkType::kEthernet, bytes), one_in);
}

TEST(FlowSample, BothDirectionsAreChosenAlike) {
  unsigned in = 0;
  for (std::uint16_t port = 1; port <= 4000; ++port) {
    const bool there =
        chosen(packet().from("10.0.0.1").to("10.0.0.2").tcp(port, 443).ethernet(), 4);
    EXPECT_EQ(there, chosen(packet().from("10.0.0.2").to("10.0.0.1").tcp(443, port).ethernet(), 4));
    in += there;
  }
  EXPECT_NEAR(in, 1000, 120);
}

TEST(FlowSample, IsAboutAsLargeAsAskedForAndALargerOneHasTheSmaller) {
  unsigned tenth = 0;
  for (std::uint16_t port = 1; port <= 10'000; ++port) {
    const Bytes bytes = packet().from("fd00::1").to("fd00::2").udp(port, 53).ethernet();
    EXPECT_TRUE(chosen(bytes, 1));
    if (!chosen(bytes, 10)) continue;
    ++tenth;
    EXPECT_TRUE(chosen(bytes, 5)) << port;
  }
  EXPECT_NEAR(tenth, 1000, 120);
}

TEST(FlowSample, TheProtocolTellsFlowsApart) {
  unsigned different = 0;
  for (std::uint16_t port = 1; port <= 1000; ++port) {
    const auto p = packet().from("10.0.0.1").to("10.0.0.2");
    different += chosen(PacketBuilder(p).tcp(port, 53).ethernet(), 2) !=
                 chosen(PacketBuilder(p).udp(port, 53).ethernet(), 2);
  }
  EXPECT_NEAR(different, 500, 100);
}

TEST(FlowSample, FragmentsAreChosenByTheirHosts) {
  for (unsigned last = 1; last < 200; ++last) {
    const auto host = net::IpAddress::v4(0x0a000100U + last);
    const bool first =
        chosen(packet().from(host).to("10.0.0.1").udp(1000, 53).fragment(7, 0, true).ethernet(), 3);
    EXPECT_EQ(
        first,
        chosen(packet().from(host).to("10.0.0.1").udp(0, 0).fragment(7, 99, false).ethernet(), 3));
    EXPECT_EQ(
        first,
        chosen(packet().from("10.0.0.1").to(host).udp(9, 9).fragment(8, 0, true).ethernet(), 3));
  }
}

TEST(FlowSample, AnIcmpErrorGoesWithItsFlow) {
  for (std::uint16_t port = 1; port <= 200; ++port) {
    const auto flow = packet().from("10.0.0.1").to("10.0.0.2").udp(port, 53);
    const Bytes error =
        packet().from("10.0.0.254").to("10.0.0.1").icmp(3, flow.network()).ethernet();
    EXPECT_EQ(chosen(error, 3), chosen(flow.ethernet(), 3)) << port;
  }
}

TEST(FlowSample, WhatIsNotIpIsAlwaysChosen) {
  EXPECT_TRUE(chosen(arp(kBroadcastMac, mac(1), ip("10.0.0.1"), ip("10.0.0.9")), 65'535));
  EXPECT_TRUE(chosen(Bytes(3), 65'535));
}

/// Taps of different releases forward a direction each: they must choose alike for ever.
TEST(FlowSample, NeverChanges) {
  std::uint32_t word = 0;
  for (std::uint16_t port = 0; port < 32; ++port)
    word =
        word << 1 | chosen(packet().from("10.0.0.1").to("10.0.0.2").tcp(port, 443).ethernet(), 2);
  EXPECT_EQ(word, 0x26647f89U);
}

}  // namespace
}  // namespace sidetap::capture
