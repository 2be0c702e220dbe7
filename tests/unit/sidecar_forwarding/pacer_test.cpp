#include "sidecar/forwarding/pacer.h"

#include <algorithm>
#include <cstdint>

#include <gtest/gtest.h>

namespace sidetap::forwarding {
namespace {

using std::chrono::milliseconds;

constexpr Pacer::Time kBegin{std::chrono::hours(5)};
constexpr std::size_t kPacket = 1436;  // with what each packet counts for, 1500

/// Sends as much as the pacer lets go now; bytes, `most` at most.
std::size_t send(Pacer& pacer, std::size_t most = SIZE_MAX) {
  std::size_t sent = 0;
  while (sent < most && pacer.may_send()) {
    pacer.spend(kPacket);
    sent += 1500;
  }
  return sent;
}

TEST(Pacer, LetsATrainGoAtOnceAndNoMore) {
  Pacer pacer({.least_rate = 100e6, .shortest_train = 500e3});
  pacer.advance(kBegin, 0);
  EXPECT_NEAR(static_cast<double>(send(pacer)), 500e3, 1500);
  EXPECT_FALSE(pacer.may_send());
  pacer.advance(kBegin + milliseconds(1), 0);
  EXPECT_NEAR(static_cast<double>(send(pacer)), 100e3, 1500);
  pacer.advance(kBegin + std::chrono::seconds(10), 0);
  EXPECT_LE(send(pacer), 502'000U) << "what was not used is not saved";
}

TEST(Pacer, ALargeBacklogLeavesAsAStream) {
  constexpr std::size_t kBurst = 32U << 20;
  Pacer pacer;
  pacer.advance(kBegin, 0);
  for (std::size_t came = 0; came < kBurst; came += 1500) pacer.arrive(kPacket);
  std::size_t left = kBurst;
  std::size_t longest = 0;
  int ms = 0;
  for (; left != 0; ++ms) {
    pacer.advance(kBegin + milliseconds(ms), left);
    const std::size_t sent = send(pacer, left);
    longest = std::max(longest, sent);
    left -= std::min(left, sent);
  }
  EXPECT_GT(ms, 70) << "not as one burst";
  EXPECT_LT(ms, 140);
  EXPECT_LT(longest, 1'100'000U);
}

TEST(Pacer, NeverHoldsUpASteadyStream) {
  // 8 Gbit/s, in pieces of a millisecond.
  constexpr std::size_t kEach = 1'000'000;
  Pacer pacer;
  std::size_t waiting = 0;
  for (int ms = 0; ms < 3000; ++ms) {
    pacer.advance(kBegin + milliseconds(ms), waiting);
    for (std::size_t came = 0; came < kEach; came += 1500) pacer.arrive(kPacket);
    waiting += kEach;
    waiting -= std::min(waiting, send(pacer, waiting));
    if (ms < 2000) continue;
    ASSERT_LT(waiting, 2 * kEach) << ms;
  }
}

TEST(Pacer, WhatWaitsBesideAStreamOfTheLeastRateLeavesSoon) {
  Pacer pacer;
  constexpr std::size_t kEach = 250'000;  // in a millisecond
  std::size_t waiting = 20'000'000;
  int ms = 0;
  for (; waiting > kEach && ms < 2000; ++ms) {
    pacer.advance(kBegin + milliseconds(ms), waiting);
    for (std::size_t came = 0; came < kEach; came += 1500) pacer.arrive(kPacket);
    waiting += kEach;
    waiting -= std::min(waiting, send(pacer, waiting));
  }
  EXPECT_LT(ms, 800);
}

TEST(Pacer, OneBurstASecondIsNoStream) {
  Pacer pacer;
  for (int ms = 0; ms < 10'000; ++ms) {
    pacer.advance(kBegin + milliseconds(ms), 0);
    if (ms % 1000 == 0) {
      for (std::size_t came = 0; came < (16U << 20); came += 1500) pacer.arrive(kPacket);
    }
    ASSERT_LE(pacer.rate(), 260e6) << ms;
  }
}

TEST(Pacer, AClockThatStandsStillGivesNothing) {
  Pacer pacer;
  pacer.advance(kBegin, 0);
  send(pacer);
  for (int i = 0; i < 1000; ++i) pacer.advance(kBegin, 0);
  EXPECT_FALSE(pacer.may_send());
  pacer.advance(kBegin - milliseconds(5), 0);
  EXPECT_FALSE(pacer.may_send());
}

}  // namespace
}  // namespace sidetap::forwarding
