// Packets that are longer than a block of the ring, and a ring that is not looked at.
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

#include "sidecar/capture/ring.h"
#include "tests/unit/sidecar_capture/ring_fixture.h"

namespace sidetap::capture::ring_test {
namespace {

constexpr std::size_t kLong = 8000;

/// Blocks so small that frames of 8000 bytes stand for what BIG TCP makes of others.
class SmallBlocks : public RingSource {
 protected:
  void SetUp() override {
    RingSource::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(run("ip link set pod0 mtu 9000 && ip link set far0 mtu 9000"));
    static constexpr BpfInstruction kEverything{
        .code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 262'144};
    RingConfig small;
    small.interface_index = static_cast<int>(if_nametoindex("pod0"));
    small.block_bytes = 4096;
    small.blocks = 16;
    small.filter = {&kEverything, 1};
    SpareSockets sockets;
    net::UniqueFd socket = sockets.take().value();
    auto opened = Ring::open(small, socket);
    ASSERT_TRUE(opened) << opened.error().text;
    ring_ = std::move(*opened);
  }
  void send(std::uint32_t count, std::size_t size) {
    for (; count != 0; --count) inject(frame(ETH_P_IP, IPPROTO_UDP, sent_++, size));
  }
  void read_all() {
    for (int i = 0; i < 400 && keeper_.packets.size() < sent_; ++i) {
      ring_->read(keeper_, 256);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_EQ(keeper_.packets.size(), sent_);
  }

  std::unique_ptr<Ring> ring_;
  Keeper keeper_;
  std::uint32_t sent_ = 0;
};

TEST_F(SmallBlocks, TheLongestPacketThatIsCutIsRemembered) {
  send(3, 500);
  ASSERT_NO_FATAL_FAILURE(read_all());
  EXPECT_EQ(ring_->longest_cut(), 0U);
  send(1, kLong);
  ASSERT_NO_FATAL_FAILURE(read_all());
  EXPECT_EQ(ring_->longest_cut(), kLong + 34);
  EXPECT_LT(keeper_.packets.back().bytes.size(), kLong);
}

TEST_F(SmallBlocks, FillsWhileTheKernelIsAheadOfTheReader) {
  EXPECT_FALSE(ring_->is_filling());
  send(20, 1000);  // several blocks
  EXPECT_TRUE(ring_->is_filling());
  ASSERT_NO_FATAL_FAILURE(read_all());
  EXPECT_FALSE(ring_->is_filling());
}

TEST_F(SmallBlocks, LosesNothingOfWhatComesWhileItDozes) {
  for (int round = 0; round < 3; ++round) {
    send(2, 1000);
    ASSERT_NO_FATAL_FAILURE(read_all());
    ASSERT_TRUE(ring_->is_between_blocks());
    ring_->doze();
    EXPECT_TRUE(ring_->is_dozing());
    EXPECT_EQ(ring_->read(keeper_, 256), 0U);
    EXPECT_FALSE(ring_->is_filling());
    send(20, 1000);  // several blocks, and one that is not full
    ASSERT_TRUE(ring_->wake());
    EXPECT_FALSE(ring_->is_dozing());
    ASSERT_NO_FATAL_FAILURE(read_all());
  }
}

TEST_F(SmallBlocks, GoesOnDozingWhereNothingHasCome) {
  send(1, 100);
  ASSERT_NO_FATAL_FAILURE(read_all());
  ring_->doze();
  ASSERT_TRUE(ring_->wake());
  EXPECT_TRUE(ring_->is_dozing());
}

TEST_F(RingSource, SaysThatItIsToBeOpenedAnewForLongerPacketsThanItHasRoomFor) {
  const auto source = open();
  ASSERT_TRUE(source);
  EXPECT_EQ(source->outgrown_by(), 0U);
  source->expect(200'000);
  EXPECT_EQ(source->outgrown_by(), 0U);
  source->expect(300'000);  // more than the snaplen is not kept anyway
  EXPECT_EQ(source->outgrown_by(), 300'000U);
}

}  // namespace
}  // namespace sidetap::capture::ring_test
