#include "sidecar/capture/stamp_offset.h"

#include <gtest/gtest.h>

namespace sidetap::capture {
namespace {

using std::chrono::hours;
using std::chrono::steady_clock;
using std::chrono::system_clock;

CapturedPacket stamped(system_clock::time_point time) {
  const auto since = std::chrono::nanoseconds(time.time_since_epoch());
  CapturedPacket packet;
  packet.seconds = static_cast<std::uint32_t>(since / std::chrono::seconds(1));
  packet.nanoseconds = static_cast<std::uint32_t>((since % std::chrono::seconds(1)).count());
  return packet;
}

TEST(StampOffset, AStampBecomesTheMomentOfTheSteadyClock) {
  const auto before = steady_clock::now();
  const auto packet = stamped(system_clock::now());
  const auto after = steady_clock::now();
  const auto moment = StampOffset::now().moment_of(packet);
  // The two clocks are not read at once, and either may be corrected a little meanwhile.
  const auto tolerance = std::chrono::seconds(1);
  EXPECT_GT(moment, before - tolerance);
  EXPECT_LT(moment, after + tolerance);
}

TEST(StampOffset, WhatIsStampedAfterTheWallClockWasSetIsRightWithANewOffset) {
  const steady_clock::time_point now{hours(5)};
  const system_clock::time_point wall{hours(400'000)};
  for (const hours set : {hours(-1), hours(0), hours(1)}) {
    const StampOffset offset(now.time_since_epoch() - (wall + set).time_since_epoch());
    EXPECT_EQ(offset.moment_of(stamped(wall + set + std::chrono::nanoseconds(7))),
              now + std::chrono::nanoseconds(7));
  }
}

TEST(StampOffset, WhatWaitedWhileTheWallClockWasSetBackIsNewerThanItWas) {
  const steady_clock::time_point now{hours(5)};
  const system_clock::time_point wall{hours(400'000)};
  const StampOffset offset(now.time_since_epoch() - (wall - hours(1)).time_since_epoch());
  EXPECT_GE(offset.moment_of(stamped(wall)), now);
}

}  // namespace
}  // namespace sidetap::capture
