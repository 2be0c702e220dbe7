#include "shared/net/interfaces.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <net/if.h>

namespace sidetap::net {
namespace {

TEST(Interfaces, LoopbackIsThereWithItsIndexFlagsAndMtu) {
  const auto list = list_interfaces();
  ASSERT_TRUE(list);
  const auto lo =
      std::find_if(list->begin(), list->end(), [](const auto& i) { return i.name == "lo"; });
  ASSERT_NE(lo, list->end());
  EXPECT_EQ(lo->index, if_nametoindex("lo"));
  EXPECT_NE(lo->flags & IFF_LOOPBACK, 0U);
  EXPECT_GE(lo->mtu, 1280U);
}

}  // namespace
}  // namespace sidetap::net
