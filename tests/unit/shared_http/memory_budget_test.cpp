#include "shared/http/memory_budget.h"

#include <gtest/gtest.h>

namespace sidetap::http {
namespace {

TEST(MemoryBudget, OneMayHoldHalfOfIt) {
  MemoryBudget budget(100);
  MemoryBudget::Share share(budget);
  EXPECT_TRUE(share.hold(50));
  EXPECT_FALSE(share.hold(51));
}

TEST(MemoryBudget, ManyWhoWantMuchLeaveRoomForOneWhoWantsLittle) {
  MemoryBudget budget(100);
  MemoryBudget::Share first(budget);
  MemoryBudget::Share second(budget);
  MemoryBudget::Share third(budget);
  EXPECT_TRUE(first.hold(50));
  EXPECT_FALSE(second.hold(26));
  EXPECT_TRUE(second.hold(25));
  EXPECT_FALSE(third.hold(13));
  EXPECT_TRUE(third.hold(12));
}

TEST(MemoryBudget, WhatIsGivenBackOrRefusedIsFree) {
  MemoryBudget budget(100);
  MemoryBudget::Share first(budget);
  {
    MemoryBudget::Share second(budget);
    EXPECT_TRUE(second.hold(40));
    EXPECT_FALSE(second.hold(60));
    EXPECT_FALSE(first.hold(31));
    EXPECT_TRUE(second.hold(10));
    EXPECT_TRUE(first.hold(45));
    EXPECT_FALSE(first.hold(46));
  }
  EXPECT_TRUE(first.hold(50));
}

}  // namespace
}  // namespace sidetap::http
