#include "sidecar/commands/tap_connections.h"

#include <gtest/gtest.h>

#include "tests/support/addresses.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using test::packet;

constexpr std::uint16_t kOfTap = 40'001;

TapConnections connections_of_a_pod() {
  TapConnections taps({ip("10.99.0.2"), ip("fd00:99::2")},
                      {{.address = ip("10.99.0.1"), .port = 2003}});
  taps.set_ports({kOfTap, 40'007});
  return taps;
}

bool includes(const test::PacketBuilder& builder) {
  const test::Bytes bytes = builder.ethernet();
  return connections_of_a_pod().include(capture::parse_packet(capture::LinkType::kEthernet, bytes));
}

TEST(TapConnectionsTest, BothDirectionsOfATapsConnectionBelongToIt) {
  EXPECT_TRUE(includes(packet().from("10.99.0.2").to("10.9.9.9").tcp(kOfTap, 555)));
  EXPECT_TRUE(includes(packet().from("10.9.9.9").to("10.99.0.2").udp(555, 40'007)));
  EXPECT_TRUE(includes(packet().from("fd00:99::2").to("fd00::9").udp(kOfTap, 555)));
  EXPECT_TRUE(includes(packet().from("127.0.0.1").to("127.0.0.1").tcp(555, kOfTap)));
}

TEST(TapConnectionsTest, APortThatSomebodyElseHasIsNoTaps) {
  EXPECT_FALSE(includes(packet().from("10.9.9.9").to("10.99.0.2").tcp(kOfTap, 443)));
  EXPECT_FALSE(includes(packet().from("10.99.0.2").to("10.9.9.9").tcp(555, kOfTap)));
  EXPECT_FALSE(includes(packet().from("10.99.0.2").to("10.9.9.9").tcp(40'002, 443)));
}

TEST(TapConnectionsTest, WhatGoesToASensorIsATapsFromEveryPort) {
  EXPECT_TRUE(includes(packet().from("10.99.0.2").to("10.99.0.1").tcp(555, 2003)));
  EXPECT_TRUE(includes(packet().from("10.99.0.1").to("10.99.0.2").tcp(2003, 555)));
  EXPECT_FALSE(includes(packet().from("10.99.0.2").to("10.99.0.1").tcp(555, 443)));
}

TEST(TapConnectionsTest, AnErrorAboutATapsPacketBelongsToIt) {
  const auto error_about = [](const test::PacketBuilder& builder) {
    return includes(packet().from("10.9.9.9").to("10.99.0.2").icmp(3, builder.network()));
  };
  EXPECT_TRUE(error_about(packet().from("10.99.0.2").to("10.9.9.9").udp(kOfTap, 555)));
  EXPECT_FALSE(error_about(packet().from("10.99.0.2").to("10.9.9.9").udp(40'002, 555)));
  EXPECT_FALSE(includes(packet().from("10.9.9.9").to("10.99.0.2").echo(true)));
}

TEST(TapConnectionsTest, SaysWhetherItsPortsHaveChanged) {
  TapConnections taps = connections_of_a_pod();
  EXPECT_FALSE(taps.set_ports({kOfTap, 40'007}));
  EXPECT_TRUE(taps.set_ports({}));
}

TEST(TapConnectionsTest, TheKernelIsToldOfEachAddressAndProtocol) {
  // Two ports at two addresses, and one place of the one family, in two protocols.
  EXPECT_EQ(connections_of_a_pod().endpoints().size(), 2u * (2 * 2 + 1));
}

}  // namespace
}  // namespace sidetap
