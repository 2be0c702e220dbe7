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
  void on_packet(const capture::CapturedPacket& got) override {
    bytes.emplace_back(got.bytes.begin(), got.bytes.end());
    packets.push_back(got);
  }
  void take_all(OutageBuffer& buffer) {
    while (buffer.packets() != 0) buffer.take_oldest(*this);
  }
  std::vector<Bytes> bytes;
  std::vector<capture::CapturedPacket> packets;
};

TEST(OutageBuffer, GivesBackWhatItKeptAsItWasAndInOrder) {
  OutageBuffer buffer(1U << 16);
  for (std::uint32_t n = 0; n < 100; ++n)
    ASSERT_TRUE(buffer.keep(packet(Bytes(n * 5, static_cast<std::byte>(n)), n)));
  EXPECT_EQ(buffer.packets(), 100U);
  Keeper keeper;
  keeper.take_all(buffer);
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
  keeper.take_all(buffer);
  ASSERT_EQ(keeper.packets.size(), 2U);
  EXPECT_EQ(keeper.packets[1].seconds, 3U);
  EXPECT_TRUE(buffer.keep(packet(large, 4))) << "there is room again";
}

TEST(OutageBuffer, OfNoSizeItKeepsNothing) {
  OutageBuffer buffer(0);
  EXPECT_FALSE(buffer.keep(packet(Bytes(1), 1)));
  EXPECT_FALSE(buffer.keep(packet({}, 1)));
}

TEST(OutageBuffer, StaysInOrderWhileItIsFilledAndEmptiedByTurns) {
  OutageBuffer buffer(2000);
  Keeper keeper;
  std::uint32_t next = 0;
  while (next < 1000) {
    // Of sizes that never fit its end.
    while (buffer.keep(packet(Bytes(next % 97, static_cast<std::byte>(next)), next))) ++next;
    EXPECT_LE(buffer.bytes(), 2000U);
    for (unsigned i = 0; i < 1 + next % 5; ++i) buffer.take_oldest(keeper);
  }
  keeper.take_all(buffer);
  EXPECT_EQ(buffer.bytes(), 0U);
  ASSERT_EQ(keeper.packets.size(), next);
  for (std::uint32_t n = 0; n < next; ++n) {
    EXPECT_EQ(keeper.packets[n].seconds, n);
    EXPECT_EQ(keeper.bytes[n], Bytes(n % 97, static_cast<std::byte>(n)));
  }
}

TEST(OutageBuffer, ForgetsTheOldestFirst) {
  OutageBuffer buffer(4096);
  for (std::uint32_t n = 0; n < 3; ++n) buffer.keep(packet(Bytes(10), n));
  buffer.drop_oldest();
  Keeper keeper;
  keeper.take_all(buffer);
  ASSERT_EQ(keeper.packets.size(), 2U);
  EXPECT_EQ(keeper.packets[0].seconds, 1U);
}

}  // namespace
}  // namespace sidetap::forwarding
