// Which sensors to connect to: the pure part.
#include <gtest/gtest.h>

#include "sidecar/session/sensor_list.h"

namespace sidetap::session {
namespace {

TEST(SensorList, ReplicateAndBalanceWantEverySensor) {
  for (const SensorMode mode : {SensorMode::kReplicate, SensorMode::kBalance}) {
    SensorList list(mode, 3);
    list.set(0, SensorState::kForwarding);
    list.set(1, SensorState::kFailed);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(list.wanted(i));
  }
}

TEST(SensorList, WantsNoSensorInAPodThatIsOne) {
  for (const SensorMode mode :
       {SensorMode::kReplicate, SensorMode::kFailover, SensorMode::kBalance, SensorMode::kHash}) {
    SensorList list(mode, 3);
    list.set(0, SensorState::kForwarding);
    list.set(1, SensorState::kSelf);
    EXPECT_FALSE(list.wanted(0));
    EXPECT_TRUE(list.wanted(1)) << "it is asked again whether that is still so";
    EXPECT_FALSE(list.wanted(2));
    list.set(1, SensorState::kUntried);
    EXPECT_TRUE(list.wanted(0));
  }
}

TEST(SensorList, FailoverWantsTheFirstAndThoseBeforeWhichAllHaveFailed) {
  using enum SensorState;
  struct Row {
    SensorState first, second, third;
    bool wants_second, wants_third;
  };
  for (const Row& row :
       {Row{kUntried, kUntried, kUntried, false, false},
        Row{kFailed, kUntried, kUntried, true, false}, Row{kFailed, kFailed, kUntried, true, true},
        Row{kFailed, kForwarding, kUntried, true, false},
        Row{kForwarding, kFailed, kForwarding, false, false},
        Row{kFailed, kFailed, kFailed, true, true}}) {
    SensorList list(SensorMode::kFailover, 3);
    list.set(0, row.first);
    list.set(1, row.second);
    list.set(2, row.third);
    EXPECT_TRUE(list.wanted(0));
    EXPECT_EQ(list.wanted(1), row.wants_second);
    EXPECT_EQ(list.wanted(2), row.wants_third);
  }
}

}  // namespace
}  // namespace sidetap::session
