#include "sidecar/collector/former_senders.h"

#include <cstdint>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::collector {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr FormerSenders::Time kStart{std::chrono::hours(1)};
const net::SocketAddress kFormer{host(1), 40'000};

TEST(FormerSendersTest, KnowsWhoWasATapUntilItIsSilent) {
  FormerSenders senders;
  EXPECT_FALSE(senders.is_former(kFormer, false, kStart));
  senders.add(kFormer, kStart);
  EXPECT_TRUE(senders.is_former(kFormer, false, kStart + milliseconds(1'900)));
  EXPECT_FALSE(senders.is_former({host(1), 40'001}, false, kStart)) << "another port";
  EXPECT_FALSE(senders.is_former({host(2), 40'000}, false, kStart)) << "another address";
  EXPECT_FALSE(senders.is_former(kFormer, false, kStart + milliseconds(3'900)));
  EXPECT_EQ(senders.size(), 0U);
}

TEST(FormerSendersTest, OneThatGoesOnSendingStaysFormerButNotForEver) {
  FormerSenders senders;
  senders.add(kFormer, kStart);
  for (int second = 1; second < 30; ++second)
    EXPECT_TRUE(senders.is_former(kFormer, false, kStart + seconds(second))) << second;
  EXPECT_FALSE(senders.is_former(kFormer, false, kStart + FormerSenders::kLongest));
}

TEST(FormerSendersTest, ANewCaptureIsOfAnotherTap) {
  FormerSenders senders;
  senders.add(kFormer, kStart);
  EXPECT_FALSE(senders.is_former(kFormer, true, kStart + milliseconds(1)));
  EXPECT_FALSE(senders.is_former(kFormer, false, kStart + milliseconds(2)));
}

TEST(FormerSendersTest, HoldsABoundedNumber) {
  FormerSenders senders;
  const auto number = static_cast<std::uint32_t>(FormerSenders::kMost);
  for (std::uint32_t i = 0; i < number + 10; ++i) senders.add({host(i), 1}, kStart);
  EXPECT_EQ(senders.size(), FormerSenders::kMost);
  senders.add(kFormer, kStart + seconds(2));
  EXPECT_EQ(senders.size(), 1U) << "those that are silent go first";
}

}  // namespace
}  // namespace sidetap::collector
