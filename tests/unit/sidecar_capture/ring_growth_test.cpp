// The ring under load, which takes more memory for a while, and the sockets that are kept to open
// it again.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sidecar/capture/device.h"
#include "sidecar/capture/growing_ring.h"
#include "sidecar/capture/interface_sight.h"
#include "tests/unit/sidecar_capture/ring_fixture.h"

namespace sidetap::capture::ring_test {
namespace {

TEST_F(RingSource, WithoutMoreMemoryForLoadThereIsNoLargeRing) {
  sender_.reset();
  const auto rings = [] {
    std::ifstream sockets("/proc/thread-self/net/packet");
    const std::istreambuf_iterator<char> begin(sockets);
    return std::count(begin, std::istreambuf_iterator<char>(), '\n') - 1;  // without the headline
  };
  for (const std::size_t most : {1U << 20, 2U << 20}) {
    const auto source = open(2U << 20, {}, most);
    EXPECT_EQ(rings(), 2) << "one of them for SCTP";
  }
  const auto source = open(2U << 20, {}, 4U << 20);
  EXPECT_EQ(rings(), 3);
}

TEST_F(RingSource, ARingThatGrowsAndShrinksLosesDoublesAndReordersNothing) {
  constexpr BpfInstruction kEverything{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
  RingConfig small;
  small.interface_index = static_cast<int>(if_nametoindex("pod0"));
  small.blocks = 16;
  small.filter = {&kEverything, 1};
  auto opened = open_growing(small, {.blocks = 32, .quiet = std::chrono::milliseconds(100)});
  ASSERT_TRUE(opened) << opened.error().text;
  GrowingRing& ring = **opened;
  std::vector<Bytes> sent;
  Keeper keeper;
  const auto send = [&](std::size_t count) {
    for (; count != 0; --count) {
      sent.push_back(frame(ETH_P_IP, IPPROTO_UDP, static_cast<std::uint32_t>(sent.size()), 1400));
      inject(sent.back());
    }
  };
  // Reads, with a packet now and then, until the ring has the size.
  const auto become = [&](bool large) {
    for (int i = 0; i < 2000 && (ring.is_large() != large || ring.is_changing()); ++i) {
      send(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ring.read(keeper, 256);
    }
    ASSERT_EQ(ring.is_large(), large);
  };
  for (int round = 0; round < 2; ++round) {
    // Far enough from one another that the kernel gives each a block of its own.
    for (int i = 0; i < 10; ++i) {
      send(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(12));
    }
    become(true);
    // The small ring has room for about 1400. A block also ends with its time: where sending takes
    // long, the large ring would fill with nearly empty blocks.
    auto read_at = std::chrono::steady_clock::now();
    for (int i = 0; i < 4000; ++i) {
      send(1);
      if (std::chrono::steady_clock::now() - read_at < std::chrono::milliseconds(100)) continue;
      ring.read(keeper, 4096);
      read_at = std::chrono::steady_clock::now();
    }
    become(false);
  }
  for (int i = 0; i < 200 && keeper.packets.size() < sent.size(); ++i) {
    ring.read(keeper, 256);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(keeper.packets.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) ASSERT_EQ(keeper.packets[i].bytes, sent[i]) << i;
  SourceCounts counts;
  ring.add_counts(counts);
  EXPECT_EQ(counts.accepted, sent.size());
  EXPECT_EQ(counts.dropped, 0U);
}

TEST_F(RingSource, ARingGrowsWhenItsBlocksFillBeforeTheirTime) {
  constexpr BpfInstruction kEverything{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
  RingConfig small;
  small.interface_index = static_cast<int>(if_nametoindex("pod0"));
  small.filter = {&kEverything, 1};
  small.blocks = 12;
  small.block_timeout_ms = 100;
  auto opened = open_growing(small, {.blocks = 8, .quiet = std::chrono::milliseconds(300)});
  ASSERT_TRUE(opened) << opened.error().text;
  GrowingRing& ring = **opened;
  Keeper keeper;
  std::uint32_t sent = 0;
  // A block at a time, which is read at once: never does much of the ring wait.
  const auto send_and_read = [&] {
    for (int i = 0; i < 90; ++i) inject(frame(ETH_P_IP, IPPROTO_UDP, sent++, 1400));
    ring.read(keeper, 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  for (int i = 0; i < 300 && !ring.is_large(); ++i) send_and_read();
  EXPECT_TRUE(ring.is_large());
  // A packet now and then, each in a block of its own that waits for a moment, is no load.
  for (int i = 0; i < 40 && ring.is_large(); ++i) {
    inject(frame(ETH_P_IP, IPPROTO_UDP, sent++, 1400));
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * small.block_timeout_ms));
    while (ring.read(keeper, 1000) != 0) {
    }
  }
  EXPECT_FALSE(ring.is_large());
  std::this_thread::sleep_for(std::chrono::milliseconds(3 * small.block_timeout_ms));
  for (int i = 0; i < 10; ++i) ring.read(keeper, 1000);
  ASSERT_EQ(keeper.packets.size(), sent);
}

/// Runs `body` on a thread that has no capability at all.
void without_rights(const std::function<void()>& body) {
  std::thread([&] {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct none[2]{};
    ASSERT_EQ(syscall(SYS_capset, &header, none), 0) << std::strerror(errno);
    body();
  }).join();
}

/// The kernel tells the other end by a work queue.
void wait_for_carrier() {
  const InterfaceSight sight;
  for (int i = 0; i < 1000 && !sight.look("far0", 0).carrier; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

TEST_F(RingSource, AnInterfaceIsOpenedAgainWithoutAnyRight) {
  for (const CaptureMethod method : {CaptureMethod::kRing, CaptureMethod::kLibpcap}) {
    const auto device = make_system_device();
    DeviceConfig config;
    config.interface = "pod0";
    config.method = method;
    config.most_buffer_bytes = 8U << 20;
    auto source = device->open(config);
    ASSERT_TRUE(source) << source.error().text;
    // Also when the sockets that it has kept are used up, but for those that can be used again.
    for (std::uint32_t time = 0; time < 12; ++time) {
      ASSERT_TRUE(run("ip link del pod0"));
      EXPECT_EQ((*source)->bound_index(), -1);
      source->reset();
      ASSERT_NO_FATAL_FAILURE(make_link());
      // The ring also while it is down, which libpcap refuses the first time only.
      if (time % 2 == 0) {
        ASSERT_TRUE(run("ip link set pod0 down"));
      }
      without_rights([&] { source = device->open(config); });
      ASSERT_TRUE(source) << time << ": " << source.error().text;
      ASSERT_TRUE(run("ip link set pod0 up"));
      wait_for_carrier();
      EXPECT_EQ((*source)->bound_index(), static_cast<int>(if_nametoindex("pod0")));
      Keeper keeper;
      // SCTP has a ring of its own.
      inject(frame(ETH_P_IP, IPPROTO_UDP, time, 30));
      inject(frame(ETH_P_IP, IPPROTO_SCTP, time, 30));
      ASSERT_NO_FATAL_FAILURE(collect(**source, keeper, 2));
      EXPECT_EQ(keeper.packets.size(), 2U) << time;
      EXPECT_EQ((*source)->counts().accepted, 2U) << "what came before is not counted again";
    }
  }
}

TEST_F(RingSource, WhatAnEarlierSourceWasBoundToIsNotCapturedAnyMore) {
  for (const CaptureMethod method : {CaptureMethod::kRing, CaptureMethod::kLibpcap}) {
    const auto device = make_system_device();
    DeviceConfig config;
    config.interface = "pod0";
    config.method = method;
    auto source = device->open(config);
    ASSERT_TRUE(source) << source.error().text;
    ASSERT_TRUE(run("ip link set pod0 down && ip link set pod0 name old0 && ip link set old0 up"));
    source->reset();
    ASSERT_TRUE(run("ip link add pod0 type veth peer name far1 && ip link set pod0 up"));
    without_rights([&] { source = device->open(config); });
    ASSERT_TRUE(source) << source.error().text;
    for (std::uint32_t i = 0; i < 20; ++i) inject(frame(ETH_P_IP, IPPROTO_UDP, i, 30));
    Keeper keeper;
    ASSERT_NO_FATAL_FAILURE(collect(**source, keeper, 1));
    EXPECT_TRUE(keeper.packets.empty());
    ASSERT_TRUE(run("ip link del pod0 && ip link del old0"));
    ASSERT_NO_FATAL_FAILURE(make_link());
  }
}

}  // namespace
}  // namespace sidetap::capture::ring_test
