#include "sidecar/forwarding/rate_limiter.h"

#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap::forwarding {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

struct Passed {
  std::uint64_t packets = 0;
  std::uint64_t bits = 0;
};

/// One packet of `bytes` every `gap_us`, of the flows in turn, for `seconds`.
Passed offer(RateLimiter& limiter, const std::vector<std::uint64_t>& flows, std::uint32_t bytes,
             std::uint64_t gap_us, std::uint64_t seconds, std::uint64_t start_us = 1) {
  Passed passed;
  std::size_t next = 0;
  for (std::uint64_t now = 0; now < seconds * kSecond; now += gap_us) {
    if (!limiter.admit(flows[next++ % flows.size()], bytes, start_us + now)) continue;
    ++passed.packets;
    passed.bits += std::uint64_t{bytes} * 8;
  }
  return passed;
}

std::vector<std::uint64_t> some_flows(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> flows;
  while (flows.size() < count) flows.push_back(random());
  return flows;
}

TEST(RateLimiter, WithoutABoundEverythingPasses) {
  RateLimiter limiter({});
  EXPECT_EQ(offer(limiter, some_flows(3), 1500, 100, 1).packets, 10000U);
}

TEST(RateLimiter, WhatFitsPassesWhole) {
  RateLimiter limiter({.bits_per_second = 20'000'000, .packets_per_second = 2000});
  EXPECT_EQ(offer(limiter, some_flows(50), 1000, 1000, 10).packets, 10000U);
}

TEST(RateLimiter, TheBoundHoldsAndIsUsed) {
  // Small and large bounds, of packets and of bits, and one packet that is more than a window's.
  const struct {
    RateLimit limit;
    std::uint32_t bytes;
    std::uint64_t gap_us;
  } cases[] = {
      {{.bits_per_second = 0, .packets_per_second = 5}, 100, 10'000},
      {{.bits_per_second = 0, .packets_per_second = 1000}, 100, 100},
      {{.bits_per_second = 1'000'000, .packets_per_second = 0}, 65'000, 100'000},
      {{.bits_per_second = 64'000, .packets_per_second = 0}, 1500, 1000},
      {{.bits_per_second = 100'000'000, .packets_per_second = 0}, 1500, 20},
  };
  for (const std::size_t number_of_flows : {1U, 2U, 300U}) {
    for (const auto& c : cases) {
      RateLimiter limiter(c.limit);
      constexpr std::uint64_t kSeconds = 60;
      const Passed passed =
          offer(limiter, some_flows(number_of_flows), c.bytes, c.gap_us, kSeconds);
      const bool bits = c.limit.bits_per_second != 0;
      const auto limit =
          static_cast<double>(bits ? c.limit.bits_per_second : c.limit.packets_per_second) *
          kSeconds;
      const auto got = static_cast<double>(bits ? passed.bits : passed.packets);
      EXPECT_LE(got, limit * 1.02) << number_of_flows << " flows, " << c.bytes << " bytes";
      EXPECT_GE(got, limit * 0.9) << number_of_flows << " flows, " << c.bytes << " bytes";
    }
  }
}

TEST(RateLimiter, FlowsAreKeptWholeOrLeftOutWhole) {
  RateLimiter limiter({.bits_per_second = 0, .packets_per_second = 1000});
  const auto flows = some_flows(200);
  std::vector<unsigned> passed(flows.size());
  constexpr unsigned kRounds = 100;  // 20 packets a second of each, of which a quarter fits
  std::uint64_t now = kSecond;
  offer(limiter, flows, 100, 250, 2, now);
  now += 2 * kSecond;
  for (unsigned round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < flows.size(); ++i, now += 250)
      passed[i] += limiter.admit(flows[i], 100, now);
  }
  unsigned whole = 0;
  unsigned none = 0;
  for (const unsigned packets : passed) {
    whole += packets >= kRounds * 95 / 100;
    none += packets <= kRounds * 20 / 100;
  }
  EXPECT_GE(whole, 200U / 4 * 8 / 10);
  EXPECT_GE(whole + none, 190U);
}

TEST(RateLimiter, PacketsThatComeLateBuyNothing) {
  RateLimiter limiter({.bits_per_second = 0, .packets_per_second = 500});
  std::uint64_t passed = 0;
  // Every other one has waited for 30 ms longer, in another ring.
  for (std::uint64_t now = kSecond; now < 11 * kSecond; now += 500) {
    passed += limiter.admit(now, 100, now) ? 1 : 0;
    passed += limiter.admit(~now, 100, now - 30'000) ? 1 : 0;
  }
  EXPECT_LE(passed, 500 * 10 + 50U);
  EXPECT_GE(passed, 500 * 10 * 9 / 10U);
}

TEST(RateLimiter, StepsOfTheClockDoNoHarm) {
  RateLimiter limiter({.bits_per_second = 0, .packets_per_second = 100});
  const auto flows = some_flows(1);
  offer(limiter, flows, 100, 1000, 2, 1000 * kSecond);
  // Back to the beginning of time, and far ahead: no pause of such a length, and no burst.
  EXPECT_GE(offer(limiter, flows, 100, 1000, 2, 1).packets, 150U);
  EXPECT_LE(offer(limiter, flows, 100, 1000, 2, 100'000 * kSecond).packets, 230U);
}

}  // namespace
}  // namespace sidetap::forwarding
