// Additions count late, removals at once.
#include "sidecar/registry/settling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SettlingTest : public testing::Test {
 protected:
  static Settling::Time at(int ms) { return Settling::Time() + std::chrono::milliseconds(ms); }
  const Settling::Addresses& update(const Settling::Addresses& listed, int ms) {
    return counting_ = settling_.update(listed, counting_, at(ms));
  }
  Settling settling_{std::chrono::milliseconds(250)};
  Settling::Addresses counting_;
};

TEST_F(SettlingTest, AnAdditionCountsWhenItHasStoodForAWhile) {
  EXPECT_THAT(update({host(1)}, 0), IsEmpty());
  EXPECT_EQ(settling_.due(), at(250));
  EXPECT_THAT(update({host(1), host(2)}, 100), IsEmpty());
  EXPECT_THAT(update({host(1), host(2)}, 249), IsEmpty());
  EXPECT_THAT(update({host(1), host(2)}, 250), ElementsAre(host(1)));
  EXPECT_EQ(settling_.due(), at(350));
  EXPECT_THAT(update({host(1), host(2)}, 350), ElementsAre(host(1), host(2)));
  EXPECT_FALSE(settling_.due());
}

TEST_F(SettlingTest, ARemovalCountsAtOnceAndBeginsAnew) {
  update({host(1), host(2)}, 0);
  update({host(1), host(2)}, 250);
  EXPECT_THAT(update({host(2)}, 300), ElementsAre(host(2)));
  EXPECT_THAT(update({host(1), host(2)}, 301), ElementsAre(host(2)));
  EXPECT_EQ(settling_.due(), at(551));
}

TEST_F(SettlingTest, AnAdditionThatIsTakenBackNeverCounts) {
  update({host(1)}, 0);
  update({}, 100);
  EXPECT_FALSE(settling_.due());
  EXPECT_THAT(update({host(1)}, 260), IsEmpty()) << "the time begins anew";
}

TEST_F(SettlingTest, WithoutADelayEverythingCountsAtOnce) {
  settling_ = Settling(std::chrono::milliseconds(0));
  EXPECT_THAT(update({host(1), host(2)}, 0), ElementsAre(host(1), host(2)));
}

}  // namespace
}  // namespace sidetap::registry
