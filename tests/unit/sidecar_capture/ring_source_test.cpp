// The ring against the kernel: a veth pair in network namespaces of the test's own.
#include "sidecar/capture/ring_source.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>

#include "sidecar/capture/device.h"
#include "tests/unit/sidecar_capture/ring_fixture.h"

namespace sidetap::capture::ring_test {
namespace {

TEST_F(RingSource, PacketsComeWholeAndInOrderHoweverFewAreTakenAtATime) {
  auto source = open();
  ASSERT_TRUE(source);
  std::vector<Bytes> sent;
  for (std::uint32_t i = 0; i < 600; ++i)
    sent.push_back(frame(ETH_P_IP, IPPROTO_UDP, i, 18 + i * 37 % 1400));
  for (const Bytes& bytes : sent) inject(bytes);
  Keeper keeper;
  collect(*source, keeper, sent.size(), 7);
  ASSERT_EQ(keeper.packets.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(keeper.packets[i].bytes, sent[i]) << i;
    EXPECT_EQ(keeper.packets[i].length, sent[i].size());
  }
  EXPECT_EQ(source->counts().accepted, sent.size());
  EXPECT_EQ(source->counts().dropped, 0U);
}

TEST_F(RingSource, WhatTheRingHasNoRoomForIsCounted) {
  auto source = open(512U << 10);
  ASSERT_TRUE(source);
  constexpr std::uint32_t kSent = 2000;
  for (std::uint32_t i = 0; i < kSent; ++i) inject(frame(ETH_P_IP, IPPROTO_UDP, i, 1400));
  Keeper keeper;
  collect(*source, keeper, kSent);
  const SourceCounts counts = source->counts();
  EXPECT_EQ(counts.accepted, kSent);
  EXPECT_GT(counts.dropped, 0U);
  EXPECT_EQ(keeper.packets.size() + counts.dropped, kSent);
}

TEST_F(RingSource, SctpComesOnceAndWakesTheReader) {
  auto source = open();
  ASSERT_TRUE(source);
  for (const unsigned type : {ETH_P_IP, ETH_P_IPV6}) {
    const Bytes sent = frame(type, IPPROTO_SCTP, 7, 100);
    inject(sent);
    Keeper keeper;
    collect(*source, keeper, 2);
    ASSERT_EQ(keeper.packets.size(), 1U);
    EXPECT_EQ(keeper.packets[0].bytes, sent);
    EXPECT_FALSE(keeper.packets[0].offload.known);
  }
}

TEST_F(RingSource, AReaderThatWaitsForACpuLosesNothingOfASlowStream) {
  auto source = open();
  ASSERT_TRUE(source);
  // Far enough from one another that the kernel gives each a block of its own.
  constexpr std::size_t kSent = 3;
  for (const std::uint8_t protocol : {IPPROTO_UDP, IPPROTO_SCTP}) {
    for (unsigned number = 0; number < kSent; ++number) {
      inject(frame(ETH_P_IP, protocol, static_cast<std::uint8_t>(number), 100));
      std::this_thread::sleep_for(std::chrono::milliseconds(40));
    }
    Keeper keeper;
    collect(*source, keeper, kSent);
    EXPECT_EQ(keeper.packets.size(), kSent);
    EXPECT_EQ(source->counts().dropped, 0U);
  }
}

TEST_F(RingSource, AFilterHoldsForEveryProtocolAndCanBeReplaced) {
  constexpr BpfInstruction kNothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
  auto source = open(2U << 20, {&kNothing, 1});
  ASSERT_TRUE(source);
  const auto send_all = [&] {
    inject(frame(ETH_P_IP, IPPROTO_UDP, 1, 30));
    inject(frame(ETH_P_IP, IPPROTO_SCTP, 2, 30));
    inject(frame(ETH_P_IPV6, IPPROTO_TCP, 3, 30));
    inject(frame(ETH_P_IPV6, IPPROTO_SCTP, 4, 30));
    inject(frame(ETH_P_ARP, 0, 5, 30));
  };
  send_all();
  Keeper keeper;
  collect(*source, keeper, 1);
  EXPECT_TRUE(keeper.packets.empty());
  EXPECT_EQ(source->counts().accepted, 0U);

  // As long as a program for a source may be; the last instruction is what runs.
  std::vector<BpfInstruction> longest(kMaxBpfInstructions - kSourceBpfInstructions,
                                      {.code = BPF_LD | BPF_IMM, .jt = 0, .jf = 0, .k = 0});
  longest.back() = {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 40};
  ASSERT_TRUE(source->set_filter(longest));
  send_all();
  collect(*source, keeper, 5);
  ASSERT_EQ(keeper.packets.size(), 5U);
  for (const Kept& packet : keeper.packets) {
    EXPECT_EQ(packet.bytes.size(), 40U);  // as many bytes as the program says
    EXPECT_GT(packet.length, 40U);
  }
}

TEST_F(RingSource, TellsWhichWayAPacketWent) {
  auto source = open();
  ASSERT_TRUE(source);
  // For nobody in particular, for another host, and out of the interface itself.
  Bytes sent = frame(ETH_P_IP, IPPROTO_UDP, 1, 30);
  sent[0] = std::byte{1};
  inject(sent);
  sent[0] = std::byte{2};
  inject(sent);
  address_.sll_ifindex = static_cast<int>(if_nametoindex("pod0"));
  inject(sent);
  Keeper keeper;
  collect(*source, keeper, 3);
  ASSERT_EQ(keeper.packets.size(), 3U);
  EXPECT_EQ(keeper.packets[0].direction, Direction::kInbound);
  EXPECT_EQ(keeper.packets[1].direction, Direction::kInbound);
  EXPECT_EQ(keeper.packets[2].direction, Direction::kOutbound);
}

TEST_F(RingSource, AVlanTagStandsWhereItWasOnTheWire) {
  auto source = open();
  ASSERT_TRUE(source);
  Bytes sent = frame(ETH_P_IP, IPPROTO_UDP, 9, 60);
  const Bytes tag = {std::byte{0x81}, std::byte{0}, std::byte{0x60}, std::byte{42}};
  sent.insert(sent.begin() + 12, tag.begin(), tag.end());
  address_.sll_protocol = htons(ETH_P_8021Q);
  inject(sent);
  Keeper keeper;
  collect(*source, keeper, 1);
  ASSERT_EQ(keeper.packets.size(), 1U);
  EXPECT_EQ(keeper.packets[0].bytes, sent);
  EXPECT_EQ(keeper.packets[0].length, sent.size());
}

TEST_F(RingSource, AnInterfaceMayGoDownAndComeBackButNotVanish) {
  auto source = open();
  ASSERT_TRUE(source);
  Keeper keeper;
  ASSERT_TRUE(run("ip link set pod0 down"));
  EXPECT_TRUE(source->read(keeper, 10));
  pollfd ready{source->descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&ready, 1, 50), 0) << "a reader would never sleep again";
  ASSERT_TRUE(run("ip link set pod0 up"));
  // The link carries a moment later: the kernel tells its other end by a work queue.
  for (int i = 0; i < 20 && keeper.packets.empty(); ++i) {
    inject(frame(ETH_P_IP, IPPROTO_UDP, 1, 30));
    collect(*source, keeper, 1);
  }
  EXPECT_FALSE(keeper.packets.empty());

  ASSERT_TRUE(run("ip link del pod0"));
  EXPECT_THAT(source->read(keeper, 10).error().text, testing::HasSubstr("the interface has gone"));
}

TEST_F(RingSource, OnlyEthernetIsReadAndTheLoopbackIfAskedFor) {
  EXPECT_FALSE(ring_is_right_for({.index = 1, .hardware_type = 772}));  // ARPHRD_LOOPBACK
  ASSERT_TRUE(run("ip link set lo up"));
  DeviceConfig config;
  config.interface = "lo";
  const auto device = make_system_device();
  EXPECT_TRUE(device->open(config));
  config.method = CaptureMethod::kRing;
  EXPECT_TRUE(device->open(config));
  const auto source = open_ring(config, {.index = 1, .hardware_type = 0xfffe},
                                std::make_shared<SpareSockets>());  // ARPHRD_NONE
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error().text, testing::HasSubstr("it is not Ethernet"));
}

}  // namespace
}  // namespace sidetap::capture::ring_test
