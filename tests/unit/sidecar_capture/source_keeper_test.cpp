#include "sidecar/capture/source_keeper.h"

#include <gtest/gtest.h>

namespace sidetap::capture {
namespace {

using Step = SourceKeeper::Step;
using std::chrono::seconds;

constexpr InterfaceNow kThere{.index = 2, .up = true, .carrier = true};

class SourceKeeperTest : public testing::Test {
 protected:
  Step sees(InterfaceNow interface, int bound = 2) {
    return keeper.next({.interface = interface, .bound = bound}, now);
  }
  void open() {
    ASSERT_EQ(sees(kThere), Step::kOpen);
    keeper.opened();
    ASSERT_EQ(sees(kThere), Step::kNone);
    ASSERT_EQ(keeper.condition(), Condition::kWorking);
  }

  SourceKeeper keeper;
  SourceKeeper::TimePoint now{seconds(1000)};
};

struct Way {
  const char* name;
  InterfaceNow interface;
  int bound;
  const char* reason;
};

TEST_F(SourceKeeperTest, EveryWayInWhichTheInterfaceGoesClosesTheSourceOnce) {
  const Way ways[] = {
      {"deleted, or moved to another namespace", {}, -1, "deleted, renamed or moved"},
      {"made again before anybody looked",
       {.index = 3, .up = true, .carrier = true},
       -1,
       "another interface"},
      {"made again with the same index", kThere, -1, "another interface"},
      {"renamed", {}, 2, "deleted, renamed or moved"},
      {"another one has its name",
       {.index = 7, .up = true, .carrier = true},
       2,
       "another interface"},
  };
  for (const Way& way : ways) {
    SCOPED_TRACE(way.name);
    keeper = {};
    ASSERT_NO_FATAL_FAILURE(open());
    EXPECT_EQ(sees(way.interface, way.bound), Step::kClose);
    EXPECT_NE(keeper.reason().find(way.reason), std::string::npos) << keeper.reason();
    EXPECT_FALSE(keeper.is_open());
    EXPECT_NE(keeper.condition(), Condition::kWorking);
    const bool there = way.interface.index != 0;
    EXPECT_EQ(sees(way.interface), there ? Step::kOpen : Step::kNone);
    EXPECT_EQ(keeper.condition(), there ? Condition::kClosed : Condition::kMissing);
  }
}

TEST_F(SourceKeeperTest, WhatTheSourceItselfSaysClosesItToo) {
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(keeper.next({.interface = kThere, .bound = 2, .fault = "it is broken"}, now),
            Step::kClose);
  EXPECT_EQ(keeper.reason(), "it is broken");
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(keeper.next({.interface = kThere, .bound = 2, .outgrown = true}, now), Step::kClose);
}

TEST_F(SourceKeeperTest, TheSourceStaysOpenWhileTheInterfaceIsDownOrHasNoCarrier) {
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(sees({.index = 2, .up = false, .carrier = false}), Step::kNone);
  EXPECT_EQ(keeper.condition(), Condition::kDown);
  EXPECT_EQ(sees({.index = 2, .up = true, .carrier = false}), Step::kNone);
  EXPECT_EQ(keeper.condition(), Condition::kNoCarrier);
  EXPECT_EQ(sees(kThere), Step::kNone);
  EXPECT_EQ(keeper.condition(), Condition::kWorking);
}

TEST_F(SourceKeeperTest, EveryInterfaceAtOnceNeverGoes) {
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(sees({}, 0), Step::kNone);
  EXPECT_EQ(keeper.condition(), Condition::kWorking);
}

TEST_F(SourceKeeperTest, WaitsForAnInterfaceThatIsMissingHoweverLong) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(sees({}), Step::kNone);
    EXPECT_EQ(keeper.condition(), Condition::kMissing);
    now += seconds(10);
  }
  EXPECT_EQ(sees(kThere), Step::kOpen);
}

TEST_F(SourceKeeperTest, TriesAtEachLookAndGivesUpOnceWhatIsUpAndCannotBeOpened) {
  const auto end = now + SourceKeeper::kPatience;
  while (now < end) {
    ASSERT_EQ(sees(kThere), Step::kOpen);
    keeper.failed(now);
    now += SourceKeeper::kLookEvery;
  }
  EXPECT_EQ(sees(kThere), Step::kGiveUp);
  EXPECT_EQ(sees(kThere), Step::kOpen) << "somebody may mend it all the same";
  keeper.failed(now);
  now += SourceKeeper::kPatience;
  EXPECT_EQ(sees(kThere), Step::kOpen) << "it is said once";
}

TEST_F(SourceKeeperTest, PatienceBeginsAnewWithEachInterfaceAndNotBeforeItIsUp) {
  const auto try_for = [&](InterfaceNow interface, std::chrono::seconds time) {
    for (const auto end = now + time; now < end; now += SourceKeeper::kLookEvery) {
      ASSERT_EQ(sees(interface), Step::kOpen);
      keeper.failed(now);
    }
  };
  ASSERT_NO_FATAL_FAILURE(try_for(kThere, seconds(50)));
  EXPECT_EQ(sees({}), Step::kNone);
  ASSERT_NO_FATAL_FAILURE(try_for({.index = 2, .up = false, .carrier = false}, seconds(100)));
  ASSERT_NO_FATAL_FAILURE(try_for(kThere, seconds(50)));
  EXPECT_EQ(sees(kThere), Step::kOpen);
  keeper.opened();
  EXPECT_EQ(keeper.next({.interface = kThere, .bound = -1}, now), Step::kClose);
  ASSERT_NO_FATAL_FAILURE(try_for(kThere, seconds(59)));
}

}  // namespace
}  // namespace sidetap::capture
