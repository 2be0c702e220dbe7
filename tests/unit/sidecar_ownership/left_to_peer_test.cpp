// What a tap that does not forward leaves to the taps of its peers.
#include <memory>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

class LeftToPeer : public testing::Test {
 protected:
  bool left(const PacketBuilder& packet) {
    const Bytes bytes = packet.ethernet();
    capture::PacketView view = capture::parse_packet(capture::LinkType::kEthernet, bytes);
    return pod_.engine.is_left_to_peer(view);
  }
  Pod pod_{1};  // 10.0.0.1; pods .100 to .103 and the gateway .254 are untapped
};

TEST_F(LeftToPeer, IsWhatPassesBetweenThisPodAndOneWithATapInBothDirections) {
  EXPECT_TRUE(left(packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 80)));
  EXPECT_TRUE(left(packet().from("10.0.0.1").to("10.0.0.2").tcp(80, 40000)));
  EXPECT_TRUE(left(packet().from("fd00::1").to("fd00::2").udp(40000, 53)));
}

TEST_F(LeftToPeer, IsNothingOfWhatOnlyThisTapSees) {
  EXPECT_FALSE(left(packet().from("10.0.0.100").to("10.0.0.1").tcp(40000, 80)));
  EXPECT_FALSE(left(packet().from("10.0.0.1").to("10.0.0.254").udp(40000, 53)));
  EXPECT_FALSE(left(packet().from("10.0.0.1").to("8.8.8.8").udp(40000, 53)));
  EXPECT_FALSE(left(packet().from("10.0.0.1").to("10.0.0.1").udp(40000, 53)));
  EXPECT_FALSE(left(packet().from("10.0.0.1").to("224.0.0.251").udp(5353, 5353)));
}

TEST_F(LeftToPeer, OfAServiceItIsTheViewThatABackendsTapSees) {
  EXPECT_TRUE(left(packet().from("10.0.0.1").to("10.96.0.10").tcp(40000, 80)));
  EngineConfig config = pod_config(1);
  config.untapped_services = cidrs("10.96.0.10/32");
  Pod other(config);
  const Bytes bytes = packet().from("10.0.0.1").to("10.96.0.10").tcp(40000, 80).ethernet();
  EXPECT_FALSE(
      other.engine.is_left_to_peer(capture::parse_packet(capture::LinkType::kEthernet, bytes)));
}

TEST_F(LeftToPeer, GoesByTheNewestPeersHoweverOldThePacketIs) {
  const PacketBuilder asked = packet().from("10.0.0.100").to("10.0.0.1").tcp(40000, 80);
  EXPECT_FALSE(left(asked));
  pod_.engine.set_tapped_peers(std::make_shared<const TappedPeers>(tapped("10.0.0.100")),
                               Moment(std::chrono::hours(2)));
  // A packet from before that moment has just been decided by the peers before.
  const Bytes bytes = asked.ethernet();
  const capture::PacketView view = capture::parse_packet(capture::LinkType::kEthernet, bytes);
  (void)pod_.engine.decide(view, Moment(std::chrono::hours(1)));
  EXPECT_TRUE(left(asked));
  EXPECT_FALSE(left(packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 80)));
}

}  // namespace
}  // namespace sidetap::ownership
