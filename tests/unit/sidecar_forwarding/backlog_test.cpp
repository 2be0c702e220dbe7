#include "sidecar/forwarding/backlog.h"

#include <cstdint>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/sanitizer.h"

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

class Keeper final {
 public:
  void take_oldest(Backlog& backlog) {
    const Backlog::Kept kept = backlog.oldest();
    bytes.emplace_back(kept.packet.bytes.begin(), kept.packet.bytes.end());
    packets.push_back(kept.packet);
    alone.push_back(kept.alone);
    backlog.drop_oldest();
  }
  void take_all(Backlog& backlog) {
    while (backlog.packets() != 0) take_oldest(backlog);
  }
  std::vector<Bytes> bytes;
  std::vector<capture::CapturedPacket> packets;
  std::vector<bool> alone;
};

TEST(Backlog, GivesBackWhatItKeptAsItWasAndInOrder) {
  Backlog backlog(1U << 16);
  for (std::uint32_t n = 0; n < 100; ++n)
    ASSERT_TRUE(backlog.keep(packet(Bytes(n * 5, static_cast<std::byte>(n)), n), n % 3 == 0));
  EXPECT_EQ(backlog.packets(), 100U);
  Keeper keeper;
  keeper.take_all(backlog);
  EXPECT_EQ(backlog.packets(), 0U);
  ASSERT_EQ(keeper.packets.size(), 100U);
  for (std::uint32_t n = 0; n < 100; ++n) {
    EXPECT_EQ(keeper.bytes[n], Bytes(n * 5, static_cast<std::byte>(n)));
    EXPECT_EQ(keeper.packets[n].length, n * 5 + 7);
    EXPECT_EQ(keeper.packets[n].seconds, n);
    EXPECT_EQ(keeper.packets[n].nanoseconds, n + 1);
    EXPECT_TRUE(keeper.packets[n].offload.known);
    EXPECT_EQ(keeper.packets[n].offload.segment_size, n);
    EXPECT_EQ(keeper.alone[n], n % 3 == 0);
  }
}

TEST(Backlog, TurnsAwayWhatItHasNoRoomForAndTakesWhatStillFits) {
  Backlog backlog(1000);
  const Bytes large(600), small(100);
  EXPECT_TRUE(backlog.keep(packet(large, 1)));
  EXPECT_FALSE(backlog.keep(packet(large, 2)));
  EXPECT_TRUE(backlog.keep(packet(small, 3)));
  Keeper keeper;
  keeper.take_all(backlog);
  ASSERT_EQ(keeper.packets.size(), 2U);
  EXPECT_EQ(keeper.packets[1].seconds, 3U);
  EXPECT_TRUE(backlog.keep(packet(large, 4))) << "there is room again";
}

TEST(Backlog, OfNoSizeItKeepsNothing) {
  Backlog backlog(0);
  EXPECT_FALSE(backlog.keep(packet(Bytes(1), 1)));
  EXPECT_FALSE(backlog.keep(packet({}, 1)));
}

TEST(Backlog, StaysInOrderWhileItIsFilledAndEmptiedByTurns) {
  Backlog backlog(2000);
  Keeper keeper;
  std::uint32_t next = 0;
  while (next < 1000) {
    // Of sizes that never fit its end.
    while (backlog.keep(packet(Bytes(next % 97, static_cast<std::byte>(next)), next))) ++next;
    EXPECT_LE(backlog.bytes(), 2000U);
    for (unsigned i = 0; i < 1 + next % 5 && backlog.packets() != 0; ++i)
      keeper.take_oldest(backlog);
  }
  keeper.take_all(backlog);
  EXPECT_EQ(backlog.bytes(), 0U);
  ASSERT_EQ(keeper.packets.size(), next);
  for (std::uint32_t n = 0; n < next; ++n) {
    EXPECT_EQ(keeper.packets[n].seconds, n);
    EXPECT_EQ(keeper.bytes[n], Bytes(n % 97, static_cast<std::byte>(n)));
  }
}

TEST(Backlog, ForgetsTheOldestFirst) {
  Backlog backlog(4096);
  for (std::uint32_t n = 0; n < 3; ++n) backlog.keep(packet(Bytes(10), n));
  backlog.drop_oldest();
  Keeper keeper;
  keeper.take_all(backlog);
  ASSERT_EQ(keeper.packets.size(), 2U);
  EXPECT_EQ(keeper.packets[0].seconds, 1U);
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(getpagesize());
}

TEST(Backlog, TakesMemoryAsItIsNeededAndGivesItBack) {
  if (testing_support::kSanitizerKeepsMemory)
    GTEST_SKIP() << "the sanitizer keeps memory of its own for each byte that is touched";
  constexpr std::size_t kCapacity = 256U << 20;
  constexpr std::size_t kSlack = 16U << 20;  // of the program, and of a sanitizer's own
  const std::size_t before = resident_bytes();
  Backlog backlog(kCapacity);
  EXPECT_LT(resident_bytes(), before + kSlack);
  const Bytes large(60'000);
  std::uint32_t kept = 0;
  while (backlog.keep(packet(large, kept))) ++kept;
  EXPECT_GT(kept * large.size(), kCapacity * 9 / 10) << "hardly any room is left unused";
  EXPECT_GT(resident_bytes(), before + kCapacity / 2);
  EXPECT_LT(resident_bytes(), before + kCapacity + kSlack);
  for (std::uint32_t n = 0; n < kept; ++n) backlog.drop_oldest();
  backlog.trim();
  EXPECT_LT(resident_bytes(), before + kSlack);
  EXPECT_TRUE(backlog.keep(packet(large, 1)));
}

TEST(Backlog, OfALittleThatComesAndGoesALittleIsResident) {
  Backlog backlog(256U << 20);
  const std::size_t before = resident_bytes();
  const Bytes large(60'000);
  for (std::uint32_t n = 0; n < 10; ++n) backlog.keep(packet(large, n));
  for (std::uint32_t n = 0; n < 10'000; ++n) {
    ASSERT_TRUE(backlog.keep(packet(large, n)));
    backlog.drop_oldest();
  }
  EXPECT_LT(resident_bytes(), before + (32U << 20));
}

}  // namespace
}  // namespace sidetap::forwarding
