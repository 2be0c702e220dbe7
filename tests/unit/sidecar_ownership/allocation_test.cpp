// Counts what is allocated: the packet path must not, whatever comes.
#include <gtest/gtest.h>

#include "tests/unit/sidecar_ownership/allocation_counter.h"
#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

TEST(Allocation, ParseAndDecideNeverAllocate) {
  EngineConfig config = pod_config(1);
  config.flow_capacity = 256;  // small, so that flows are evicted too
  config.fragment_capacity = 8;
  config.own_endpoints = {{capture::IpProtocol::kTcp, ip("10.0.0.1"), 1, ip("10.0.0.9"), 2}};
  Pod pod{config};
  const Bytes quoted = packet().from("10.0.0.1").to("10.0.0.2").udp(5000, 53).network();
  std::vector<Bytes> packets = {
      packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet(),
      packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).fragment(1, 0, true).ethernet(),
      packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).fragment(1, 9, false).ethernet(),
      packet().from("10.0.0.2").to("10.0.0.1").icmp(3, quoted).ethernet(),
      packet().from("10.0.0.2").to("224.0.0.1").udp(1, 2).ethernet(),
      packet().from("10.0.0.1").to("10.96.0.10").udp(1, 53).ethernet(),
      packet().from("8.8.8.8").to("10.0.0.1").udp(53, 1).ethernet(),
      packet().from("fd00::2").to("fd00::1").extension(60).tcp(40000, 80).syn().ethernet(),
      arp(kBroadcastMac, mac(2), ip("10.0.0.2"), ip("10.0.0.1")),
      Bytes(5)};
  for (std::uint16_t port = 1; port < 2000; ++port) {
    const PacketBuilder p = packet().from("10.0.0.2").to("10.0.0.1");
    packets.push_back(PacketBuilder(p).tcp(port, 443).syn().ethernet());
    packets.push_back(PacketBuilder(p).tcp(port, 50000).ethernet());  // first seen midway
  }
  const std::size_t before = allocation_count();
  for (const Bytes& bytes : packets) pod.sees(bytes);
  EXPECT_EQ(allocation_count(), before);
  EXPECT_GT(pod.engine.flow_evictions(), 0U) << "evictions must have been tried";
}

TEST(Allocation, TenThousandTappedPeersTakeLessThanAMegabyte) {
  std::vector<net::Cidr> hosts;
  for (std::uint32_t i = 0; i < 10000; ++i) {  // never neighbours, so that none can be merged
    hosts.push_back(net::Cidr::host(net::IpAddress::v6(0xfd00000000000000ULL + i % 100, i * 2)));
  }
  const std::size_t before = allocation_count();
  const std::size_t bytes_before = allocated_bytes();
  const net::CidrSet set{std::span<const net::Cidr>(hosts)};
  EXPECT_GT(allocation_count(), before) << "the counter must count";
  EXPECT_LT(allocated_bytes() - bytes_before, 1U << 20);
  EXPECT_EQ(set.prefixes().size(), 10000U);
}

}  // namespace
}  // namespace sidetap::ownership
