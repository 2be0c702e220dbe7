#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/ownership/flow_table.h"
#include "sidecar/ownership/fragment_table.h"
#include "sidecar/ownership/transport_set.h"

namespace sidetap::ownership {
namespace {

FlowKey flow(unsigned n) {
  return {net::IpAddress::v4(1), net::IpAddress::v4(n), 80, static_cast<std::uint16_t>(n)};
}

TEST(FlowTable, RemembersWhatWasSaid) {
  FlowTable table(1024, 1);
  EXPECT_EQ(table.find(flow(1)), nullptr);
  table.obtain(flow(1)).local_is_server = true;
  ASSERT_NE(table.find(flow(1)), nullptr);
  EXPECT_TRUE(table.find(flow(1))->local_is_server);
  EXPECT_EQ(table.size(), 1U);
}

TEST(FlowTable, NeverGrowsBeyondItsCapacity) {
  FlowTable table(64, 1);
  for (unsigned i = 0; i < 10000; ++i) table.obtain(flow(i));
  EXPECT_EQ(table.capacity(), 64U);
  EXPECT_EQ(table.size(), 64U);
  EXPECT_EQ(table.evictions(), 10000U - 64U);
}

TEST(FlowTable, AFloodOfSynsDoesNotDisplaceSettledFlows) {
  FlowTable table(8, 1);
  for (unsigned i = 0; i < 4; ++i) table.obtain(flow(i)).settled = true;
  for (unsigned i = 100; i < 1000; ++i) table.obtain(flow(i)).syn_from_remote = true;
  for (unsigned i = 0; i < 4; ++i) EXPECT_NE(table.find(flow(i)), nullptr) << i;
}

TEST(FlowTable, ClosedFlowsMakeRoomFirstThenTheLongestUnused) {
  FlowTable table(8, 1);
  for (unsigned i = 0; i < 8; ++i) table.obtain(flow(i)).settled = true;
  table.obtain(flow(5)).reset = true;
  table.obtain(flow(8)).settled = true;
  EXPECT_EQ(table.find(flow(5)), nullptr);
  table.find(flow(0));
  table.obtain(flow(9)).settled = true;
  EXPECT_NE(table.find(flow(0)), nullptr);
  EXPECT_EQ(table.find(flow(1)), nullptr);
}

TEST(FlowTable, CountsWhatItGaveUpByHowFarItHadCome) {
  FlowTable table(8, 1);
  for (unsigned i = 0; i < 8; ++i) {
    FlowState& state = table.obtain(flow(i));
    state.settled = i >= 3;
    state.reset = i == 7;
  }
  for (unsigned i = 10; i < 16; ++i) table.obtain(flow(i)).settled = true;
  EXPECT_EQ(table.evictions(FlowPhase::kClosed), 1U);
  EXPECT_EQ(table.evictions(FlowPhase::kOpening), 3U);
  EXPECT_EQ(table.evictions(FlowPhase::kOpen), 2U);
  EXPECT_EQ(table.evictions(), 6U);
}

FragmentKey datagram(std::uint32_t id) {
  return {net::IpAddress::v4(1), net::IpAddress::v4(2), id, 17};
}

TEST(FragmentTable, LastWordOnADatagramCounts) {
  FragmentTable table(16, 1);
  table.remember(datagram(1), {true, Rule::kLowerPort});
  table.remember(datagram(1), {false, Rule::kLowerPort});
  ASSERT_NE(table.find(datagram(1)), nullptr);
  EXPECT_FALSE(table.find(datagram(1))->owned);
  FragmentKey other = datagram(1);
  other.protocol = 6;
  EXPECT_EQ(table.find(other), nullptr);
}

TEST(FragmentTable, TheOldestMakesRoom) {
  FragmentTable table(4, 1);
  for (std::uint32_t i = 0; i < 5; ++i) table.remember(datagram(i), {true, Rule::kLowerPort});
  EXPECT_EQ(table.find(datagram(0)), nullptr);
  for (std::uint32_t i = 1; i < 5; ++i) EXPECT_NE(table.find(datagram(i)), nullptr) << i;
}

TEST(TransportSet, HoldsItsMembersAndNoOther) {
  std::mt19937 random(7);
  std::vector<net::TransportAddress> members;
  for (int i = 0; i < 3000; ++i)
    members.push_back({net::IpAddress::v4(static_cast<std::uint32_t>(random() % 5000)),
                       static_cast<std::uint8_t>(random() % 2 == 0 ? 6 : 17),
                       static_cast<std::uint16_t>(random() % 8)});
  const TransportSet set(members);
  const std::set<net::TransportAddress> expected(members.begin(), members.end());
  for (std::uint32_t a = 0; a < 5000; ++a) {
    const net::IpAddress address = net::IpAddress::v4(a);
    bool any = false;
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
      for (std::uint16_t port = 0; port < 8; ++port) {
        const bool member = expected.contains({address, protocol, port});
        any |= member;
        ASSERT_EQ(set.contains({address, protocol, port}), member);
      }
    }
    ASSERT_EQ(set.has_address(address), any);
  }
  EXPECT_FALSE(TransportSet().contains({}));
  EXPECT_FALSE(TransportSet().has_address({}));
}

TEST(PortSet, HoldsPortsByProtocol) {
  const std::vector<net::TransportAddress> members{{{}, 6, 0}, {{}, 17, 65535}, {{}, 1, 9}};
  const PortSet set(members);
  EXPECT_TRUE(set.contains(6, 0));
  EXPECT_TRUE(set.contains(17, 65535));
  EXPECT_FALSE(set.contains(17, 0));
  EXPECT_FALSE(set.contains(1, 9)) << "no ports";
  EXPECT_FALSE(PortSet().contains(6, 0));
}

}  // namespace
}  // namespace sidetap::ownership
