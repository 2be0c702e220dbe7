// The capture of one interface that goes away and comes back, and of sensors that come and go.
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/sidecar_packet/bpf_machine.h"
#include "tests/unit/sidecar_path/capture_loop_fixture.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

TEST_F(CaptureLoopTest, TellsWhenTheInterfaceHasGoneAndWhenItIsBack) {
  loop_->run();
  EXPECT_TRUE(loop_->is_open());
  device_.there = false;
  EXPECT_TRUE(wait_for({"closed"}));
  EXPECT_FALSE(loop_->is_open());
  device_.there = true;
  EXPECT_TRUE(wait_for({"closed", "open"}));
  EXPECT_TRUE(loop_->is_open());
}

TEST_F(CaptureLoopTest, FindsOutThatTheInterfaceHasGoneThoughTheSourceDoesNotTell) {
  device_.silent = true;
  loop_->run();
  device_.there = false;
  loop_->look_again();
  EXPECT_TRUE(wait_for({"closed"}));
  device_.there = true;
  // Nobody says so: it looks by itself.
  EXPECT_TRUE(wait_for({"closed", "open"}));
}

TEST_F(CaptureLoopTest, DoesNotWorkWhileTheInterfaceIsDownOrHasNoCarrier) {
  loop_->run();
  EXPECT_TRUE(loop_->is_working());
  for (std::atomic<bool>* cause : {&device_.up, &device_.carrier}) {
    *cause = false;
    EXPECT_TRUE(wait_for({"idle"}));
    EXPECT_TRUE(loop_->is_open());
    EXPECT_FALSE(loop_->is_working());
    *cause = true;
    EXPECT_TRUE(wait_for({"idle", "open"}));
    EXPECT_TRUE(loop_->is_working());
    const std::lock_guard lock(mutex_);
    noted_.clear();
  }
  EXPECT_EQ(counts().reopened, 0U) << "the kernel resumes by itself";
}

TEST_F(CaptureLoopTest, ANewFilterIsInForceAndStaysWhateverElseChanges) {
  const auto keeps = [&](std::uint16_t port) {
    const auto bytes = test::packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, port).ethernet();
    return test::run_bpf(device_.filter, bytes, test::kPacketHost) != 0;
  };
  loop_->run();
  settle();
  EXPECT_TRUE(keeps(9100));
  loop_->set_narrowing({.filter = "not port 9100"});
  settle();
  EXPECT_FALSE(keeps(9100));
  EXPECT_TRUE(keeps(80));
  ownership::Self self;
  self.addresses = {ip("10.0.0.1"), ip("10.0.0.2")};
  loop_->set_self(self);
  settle();
  EXPECT_FALSE(keeps(9100));
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  EXPECT_FALSE(keeps(9100));
  EXPECT_TRUE(keeps(80));
  loop_->set_narrowing({});
  settle();
  EXPECT_TRUE(keeps(9100));
}

TEST_F(CaptureLoopTest, TheFilterHoldsAtOnceWhenTheInterfaceComesBackWithAnotherLinkLayer) {
  loop_->run();
  loop_->set_narrowing({.filter = "not port 9100"});
  settle();
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  device_.link = capture::LinkType::kRawIp;
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  const auto keeps = [&](std::uint16_t port) {
    const auto bytes = test::packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, port).network();
    return test::run_bpf(device_.filter, bytes, test::kPacketHost) != 0;
  };
  EXPECT_FALSE(keeps(9100));
  EXPECT_TRUE(keeps(80));
}

TEST_F(CaptureLoopTest, APauseHoldsForWhatIsReadThen) {
  loop_->run();
  loop_->set_narrowing({.paused = true});
  settle();
  device_.waiting = 3;
  wait_until_read();
  EXPECT_EQ(loop_->ledger().paused.value(), 3U);
  EXPECT_EQ(loop_->ledger().no_session.value(), 0U);
}

TEST_F(CaptureLoopTest, StartsNoCaptureWhileTheInterfaceIsNotOpen) {
  loop_->run();
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  const auto refused = loop_->start(order(), {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("eth0 is not open"));
  device_.there = true;
  ASSERT_TRUE(wait_for({"closed", "open"}));
  const auto started = loop_->start(order(), {});
  ASSERT_TRUE(started);
  stop(*started);
}

TEST_F(CaptureLoopTest, CountsWhatTheInterfaceTookWithIt) {
  loop_->run();
  device_.accepted = 5;
  device_.waiting = 2;
  device_.there = false;
  ASSERT_TRUE(wait_for({"closed"}));
  const LoopCounts now = counts();
  EXPECT_EQ(now.source.accepted, 5U);
  EXPECT_EQ(loop_->ledger().read.value(), 2U);
  EXPECT_EQ(now.source.dropped, 3U);
}

TEST_F(CaptureLoopTest, GoesOnReadingWhileAStalledSensorsCaptureEnds) {
  constexpr unsigned kPackets = 500;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const net::UniqueFd sensor(ends[1]);
  session::CaptureOrder order;
  order.kind = session::DataKind::kTcp;
  order.socket = net::UniqueFd(ends[0]);
  // The sensor stalls until its capture ends, and then takes a little whenever the tap reads.
  std::atomic<bool> ending{false};
  device_.at_each_read = [&, bytes = std::vector<char>(100'000)]() mutable {
    if (ending) (void)recv(sensor.get(), bytes.data(), bytes.size(), 0);
  };
  loop_->run();
  const auto capture = loop_->start(std::move(order), {});
  ASSERT_TRUE(capture);
  settle();  // what is read before the capture has begun is not its own
  device_.accepted = device_.waiting = kPackets;
  wait_until_read();
  EXPECT_LT(counts().forwarded, kPackets);
  ending = true;
  stop(*capture);
  EXPECT_EQ(counts().forwarded, kPackets);
  loop_->finish();  // what it reads for the sensor ends here
}

TEST_F(CaptureLoopTest, ItsTurnsShowThatItHasTimeForMore) {
  EXPECT_EQ(loop_->turns(), 0U) << "it does not run yet";
  loop_->run();
  const std::uint64_t before = loop_->turns();
  settle();  // perhaps in the turn that was counted already
  settle();
  EXPECT_GT(loop_->turns(), before);
  loop_->finish();
  const std::uint64_t after = loop_->turns();
  settle();
  EXPECT_EQ(loop_->turns(), after) << "it has ended";
}

TEST_F(CaptureLoopTest, DoesWhatIsAskedInOrderAndBeforeItEnds) {
  loop_->run();
  std::vector<std::string> done;
  const auto capture = loop_->start(order(), [&] { done.push_back("begun"); });
  ASSERT_TRUE(capture);
  loop_->stats(*capture, [&](rpcap::Stats) { done.push_back("stats"); });
  loop_->update_filter(*capture, {}, [&](Result<void> updated) {
    done.push_back(updated ? "updated" : updated.error().text);
  });
  loop_->stop(*capture, [&] { done.push_back("stopped"); });
  loop_->update_filter(*capture, {}, [&](Result<void> updated) {
    done.push_back(updated ? "updated" : updated.error().text);
  });
  loop_->finish();
  EXPECT_THAT(done, testing::ElementsAre("begun", "stats", "updated", "stopped",
                                         "there is no such capture"));
  EXPECT_EQ(counts().captures, 0U) << "asked of a loop that has ended";
}

}  // namespace
}  // namespace sidetap
