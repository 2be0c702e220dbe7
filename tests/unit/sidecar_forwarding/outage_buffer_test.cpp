#include "sidecar/forwarding/outage_buffer.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap::forwarding {
namespace {

using Bytes = std::vector<std::byte>;

capture::CapturedPacket packet(const Bytes& bytes, std::uint32_t number) {
  capture::CapturedPacket made;
  made.bytes = bytes;
  made.length = static_cast<std::uint32_t>(bytes.size()) + 7;
  made.seconds = number;
  made.nanoseconds = number + 1;
  made.offload.known = true;
  made.offload.segment_size = static_cast<std::uint16_t>(number);
  return made;
}

class Keeper final : public capture::PacketHandler {
 public:
  explicit Keeper(OutageBuffer* keep_again = nullptr) : keep_again_(keep_again) {}
  void on_packet(const capture::CapturedPacket& got) override {
    bytes.emplace_back(got.bytes.begin(), got.bytes.end());
    packets.push_back(got);
    if (keep_again_ != nullptr) {
      EXPECT_TRUE(keep_again_->keep(got));
    }
  }
  std::vector<Bytes> bytes;
  std::vector<capture::CapturedPacket> packets;

 private:
  OutageBuffer* keep_again_;
};

TEST(OutageBuffer, GivesBackWhatItKeptAsItWasAndInOrder) {
  OutageBuffer buffer(1U << 16);
  for (std::uint32_t n = 0; n < 100; ++n)
    ASSERT_TRUE(buffer.keep(packet(Bytes(n * 5, static_cast<std::byte>(n)), n)));
  EXPECT_EQ(buffer.packets(), 100U);
  Keeper keeper;
  buffer.replay(keeper);
  EXPECT_EQ(buffer.packets(), 0U);
  ASSERT_EQ(keeper.packets.size(), 100U);
  for (std::uint32_t n = 0; n < 100; ++n) {
    EXPECT_EQ(keeper.bytes[n], Bytes(n * 5, static_cast<std::byte>(n)));
    EXPECT_EQ(keeper.packets[n].length, n * 5 + 7);
    EXPECT_EQ(keeper.packets[n].seconds, n);
    EXPECT_EQ(keeper.packets[n].nanoseconds, n + 1);
    EXPECT_TRUE(keeper.packets[n].offload.known);
    EXPECT_EQ(keeper.packets[n].offload.segment_size, n);
  }
}

TEST(OutageBuffer, TurnsAwayWhatItHasNoRoomForAndTakesWhatStillFits) {
  OutageBuffer buffer(1000);
  const Bytes large(600), small(100);
  EXPECT_TRUE(buffer.keep(packet(large, 1)));
  EXPECT_FALSE(buffer.keep(packet(large, 2)));
  EXPECT_TRUE(buffer.keep(packet(small, 3)));
  Keeper keeper;
  buffer.replay(keeper);
  ASSERT_EQ(keeper.packets.size(), 2U);
  EXPECT_EQ(keeper.packets[1].seconds, 3U);
  EXPECT_TRUE(buffer.keep(packet(large, 4))) << "there is room again";
}

TEST(OutageBuffer, OfNoSizeItKeepsNothing) {
  OutageBuffer buffer(0);
  EXPECT_FALSE(buffer.keep(packet(Bytes(1), 1)));
  EXPECT_FALSE(buffer.keep(packet({}, 1)));
}

TEST(OutageBuffer, MayBeFilledWhileItIsEmptied) {
  OutageBuffer buffer(4096);
  for (std::uint32_t n = 0; n < 10; ++n)
    ASSERT_TRUE(buffer.keep(packet(Bytes(64, static_cast<std::byte>(n)), n)));
  Keeper again(&buffer);
  buffer.replay(again);
  EXPECT_EQ(again.packets.size(), 10U);
  Keeper keeper;
  buffer.replay(keeper);
  EXPECT_EQ(keeper.bytes, again.bytes);
}

}  // namespace
}  // namespace sidetap::forwarding
