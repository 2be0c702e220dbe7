// Packets that are longer than a block of the small ring.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>

#include "sidecar/capture/growing_ring.h"
#include "tests/unit/sidecar_capture/ring_fixture.h"

namespace sidetap::capture::ring_test {
namespace {

/// Blocks so small that frames of 8000 bytes stand for what BIG TCP makes of others.
class LongPackets : public RingSource {
 protected:
  static constexpr std::size_t kLong = 8000;
  void SetUp() override {
    RingSource::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(run("ip link set pod0 mtu 9000 && ip link set far0 mtu 9000"));
  }
  static RingConfig small_blocks() {
    static constexpr BpfInstruction kEverything{
        .code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
    RingConfig small;
    small.interface_index = static_cast<int>(if_nametoindex("pod0"));
    small.block_bytes = 4096;
    small.blocks = 16;
    small.filter = {&kEverything, 1};
    return small;
  }
  static constexpr GrowthConfig kGrowth{
      .block_bytes = 4096, .blocks = 64, .quiet = std::chrono::milliseconds(100)};

  void send_and_read(GrowingRing& ring, std::uint32_t count) {
    for (; count != 0; --count) {
      inject(frame(ETH_P_IP, IPPROTO_UDP, sent_++, kLong));
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      ring.read(keeper_, 256);
    }
    for (int i = 0; i < 400 && keeper_.packets.size() < sent_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ring.read(keeper_, 256);
    }
    ASSERT_EQ(keeper_.packets.size(), sent_);
  }
  std::size_t whole(std::size_t from) const {
    return static_cast<std::size_t>(std::count_if(
        keeper_.packets.begin() + static_cast<std::ptrdiff_t>(from), keeper_.packets.end(),
        [](const Kept& kept) { return kept.bytes.size() == kept.length; }));
  }

  Keeper keeper_;
  std::uint32_t sent_ = 0;
};

TEST_F(LongPackets, WhatIsExpectedIsWholeFromTheFirstOneOn) {
  auto opened = open_growing(small_blocks(), kGrowth);
  ASSERT_TRUE(opened) << opened.error().text;
  GrowingRing& ring = **opened;
  ring.expect(kLong + 34);
  for (int i = 0; i < 1000 && !ring.is_large(); ++i) {
    ring.read(keeper_, 256);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(ring.is_large());
  EXPECT_EQ(ring.outgrown_by(), 0U);
  ASSERT_NO_FATAL_FAILURE(send_and_read(ring, 200));
  EXPECT_EQ(whole(0), sent_) << "it has to stay large, however little comes";
}

TEST_F(LongPackets, TheFirstThatIsCutMakesRoomForTheOthers) {
  auto opened = open_growing(small_blocks(), kGrowth);
  ASSERT_TRUE(opened) << opened.error().text;
  ASSERT_NO_FATAL_FAILURE(send_and_read(**opened, 100));
  EXPECT_LT(whole(0), sent_) << "without one that is cut nothing is shown";
  ASSERT_TRUE((*opened)->is_large());
  const std::size_t before = keeper_.packets.size();
  ASSERT_NO_FATAL_FAILURE(send_and_read(**opened, 100));
  EXPECT_EQ(whole(before), 100U);
}

TEST_F(LongPackets, ARingThatCannotGrowSaysThatItIsToBeOpenedAnew) {
  SpareSockets sockets;
  net::UniqueFd only = sockets.take().value();
  net::UniqueFd none;
  auto opened = GrowingRing::open(small_blocks(), kGrowth, only, none);
  ASSERT_TRUE(opened) << opened.error().text;
  EXPECT_EQ((*opened)->outgrown_by(), 0U);
  ASSERT_NO_FATAL_FAILURE(send_and_read(**opened, 10));
  EXPECT_EQ((*opened)->outgrown_by(), kLong + 34);
}

}  // namespace
}  // namespace sidetap::capture::ring_test
