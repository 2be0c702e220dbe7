#include "sidecar/tap/backlog_size.h"

#include <gtest/gtest.h>

namespace sidetap {
namespace {

constexpr std::uint64_t kMiB = 1U << 20;

TEST(BacklogSize, IsWhatTheMemoryLimitLeaves) {
  EXPECT_EQ(backlog_size({}, {}, 1).each, 64 * kMiB);
  EXPECT_EQ(backlog_size({}, 96 * kMiB, 1).each, 64 * kMiB);
  EXPECT_EQ(backlog_size({}, 4096 * kMiB, 1).each, 64 * kMiB);
  EXPECT_EQ(backlog_size({}, 64 * kMiB, 1).each, 32 * kMiB);
  EXPECT_EQ(backlog_size({}, 16 * kMiB, 1).each, kMiB);
  EXPECT_FALSE(backlog_size({}, 16 * kMiB, 1).reduced) << "nobody asked for more";
}

TEST(BacklogSize, NeverIsMoreThanThatWhateverIsAskedFor) {
  EXPECT_EQ(backlog_size(0, 96 * kMiB, 1).each, 0U);
  EXPECT_EQ(backlog_size(8 * kMiB, 96 * kMiB, 1).each, 8 * kMiB);
  EXPECT_FALSE(backlog_size(64 * kMiB, 96 * kMiB, 1).reduced);
  EXPECT_EQ(backlog_size(512 * kMiB, {}, 1).each, 512 * kMiB);
  EXPECT_EQ(backlog_size(512 * kMiB, 96 * kMiB, 1).each, 64 * kMiB);
  EXPECT_TRUE(backlog_size(512 * kMiB, 96 * kMiB, 1).reduced);
}

TEST(BacklogSize, InterfacesShareIt) {
  EXPECT_EQ(backlog_size({}, 96 * kMiB, 4).each, 16 * kMiB);
  EXPECT_EQ(backlog_size({}, 96 * kMiB, 0).each, 64 * kMiB);
}

}  // namespace
}  // namespace sidetap
