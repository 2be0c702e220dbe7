#include "sidecar/system/port_marks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>

namespace sidetap {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(PacketSockets, AreReadFromTheKernelsList) {
  EXPECT_THAT(parse_packet_sockets(
                  "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
                  "ffff8881069d7000 3      3    0003   2     1 4096   0      51234\n"
                  "0000000000000000 2      2    9c41   1     0 0      65534  18446744073709551615\n"
                  "cut off 3    0003\n"
                  "ffff8881069d7000 3      3    zzzz   2     1 4096   0      51234"),
              ElementsAre(PacketSocket{SOCK_RAW, 3, 2, 51234},
                          PacketSocket{SOCK_DGRAM, 40001, 1, 18446744073709551615ULL}));
  EXPECT_THAT(parse_packet_sockets(""), IsEmpty());
}

/// Marks are seen in the whole network namespace, also those of a test that runs at the same time.
struct OwnNetwork {
  // Without the right to have one, the test goes on in that of all.
  OwnNetwork() { (void)unshare(CLONE_NEWNET); }
};

/// Two taps of one pod: each sees the other's marks, and none of its own.
class Marks : public testing::Test {
 protected:
  void SetUp() override {
    if (one.size() == 0) GTEST_SKIP() << "packet sockets cannot be made here (no NET_RAW)";
    before = one.others().value();
    if (before.ports != two.others().value().ports) GTEST_SKIP() << "another tap runs here";
  }
  OwnNetwork network;  // before the sockets of the taps
  PortMarks one{4};
  PortMarks two{4};
  PortMarks::Others before;
};

TEST_F(Marks, ShowThatAnotherTapIsThereBeforeItHasAConnection) {
  EXPECT_TRUE(one.others()->present);
  EXPECT_THAT(one.others()->ports, before.ports);
}

TEST_F(Marks, NameThePortsOfEveryOwnerUntilItGivesThemUp) {
  // 2048 and 34525 are the numbers of IPv4 and IPv6 where a packet socket has its protocol.
  EXPECT_TRUE(one.set("session", {40001, 2048}));
  EXPECT_TRUE(one.set("status", {34525, 2048}));
  EXPECT_THAT(two.others()->ports, testing::IsSupersetOf({2048, 34525, 40001}));
  EXPECT_THAT(one.others()->ports, before.ports);
  EXPECT_TRUE(one.set("session", {40002}));
  EXPECT_THAT(two.others()->ports, testing::IsSupersetOf({2048, 34525, 40002}));
  EXPECT_THAT(two.others()->ports, testing::Not(testing::Contains(40001)));
  EXPECT_TRUE(one.set("session", {}));
  EXPECT_TRUE(one.set("status", {}));
  EXPECT_EQ(two.others()->ports, before.ports);
}

TEST_F(Marks, SayWhenThereAreMorePortsThanSockets) {
  EXPECT_FALSE(one.set("session", {40001, 40002, 40003, 40004, 40005}));
  EXPECT_EQ(two.others()->ports.size(), before.ports.size() + 4);
  EXPECT_TRUE(one.set("session", {40005}));
  EXPECT_THAT(two.others()->ports, testing::Contains(40005));
}

TEST_F(Marks, GoWithTheirTap) {
  {
    PortMarks third{1};
    third.set("session", {40007});
    EXPECT_THAT(one.others()->ports, testing::Contains(40007));
  }
  EXPECT_THAT(one.others()->ports, testing::Not(testing::Contains(40007)));
}

}  // namespace
}  // namespace sidetap
