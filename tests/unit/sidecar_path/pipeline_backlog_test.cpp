// What cannot leave at once, and how it is sent when it can.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using namespace sidetap::test;
using std::chrono::milliseconds;

class PipelineBacklog : public PipelineTest {
 protected:
  static constexpr Pipeline::Clock::time_point kBegin{std::chrono::hours(3)};

  static PipelineConfig with_backlog(std::size_t bytes) {
    PipelineConfig config;
    config.backlog = bytes;
    return config;
  }
  /// Of `size` bytes, told apart by its port.
  static Bytes large(std::uint16_t port, std::size_t size) {
    return packet().from("8.8.8.8").to("10.0.0.1").udp(port, 53).data(size).ethernet();
  }
  void expect_in_order(const std::vector<Bytes>& got, std::size_t count) {
    ASSERT_EQ(got.size(), count);
    for (std::uint16_t port = 0; port < got.size(); ++port) EXPECT_EQ(got[port], there(port));
  }
};

TEST_F(PipelineBacklog, WhatComesBeforeASessionIsSentFirstInIt) {
  Pipeline pipeline = make(with_backlog(4096));
  feed(pipeline, there(40000));
  feed(pipeline, there(40001));
  EXPECT_EQ(pipeline.ledger().kept.value(), 2U);
  EXPECT_FALSE(pipeline.can_replay()) << "nobody is there";
  EXPECT_FALSE(pipeline.has_left());
  EXPECT_TRUE(pipeline.awaits_first_capture());
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  feed(pipeline, there(40002));
  EXPECT_TRUE(got.empty()) << "not in the middle of the read";
  EXPECT_TRUE(pipeline.can_replay());
  EXPECT_TRUE(pipeline.has_left());
  pipeline.replay();
  EXPECT_FALSE(pipeline.has_left());
  feed(pipeline, there(40003));
  EXPECT_EQ(got, (std::vector<Bytes>{there(40000), there(40001), there(40002), there(40003)}));
  EXPECT_EQ(pipeline.ledger().released.value(), 3U);
  EXPECT_EQ(pipeline.ledger().taken.value(), 4U);
}

TEST_F(PipelineBacklog, ASensorThatStallsGetsTheRestWhenItGoesOn) {
  Pipeline pipeline = make(with_backlog(1U << 20));
  std::vector<Bytes> got;
  bool blocked = false;
  pipeline.add(forwarder(got, &blocked), "one");
  std::uint16_t port = 0;
  pipeline.begin_read(kBegin, false);
  while (port < 10) feed(pipeline, there(port++));
  EXPECT_EQ(got.size(), 10U);
  blocked = true;
  pipeline.begin_read(kBegin + milliseconds(1), false);
  while (port < 1000) feed(pipeline, there(port++));
  pipeline.replay();
  EXPECT_EQ(got.size(), 10U);
  EXPECT_FALSE(pipeline.can_replay());
  blocked = false;
  pipeline.begin_read(kBegin + milliseconds(2), false);
  while (port < 1100) feed(pipeline, there(port++));
  EXPECT_EQ(got.size(), 10U) << "what comes goes behind what waits";
  pipeline.replay();
  expect_in_order(got, 1100);
}

TEST_F(PipelineBacklog, ASensorThatStallsInTheMiddleOfAReadGetsNoMoreInIt) {
  Pipeline pipeline = make(with_backlog(1U << 20));
  std::vector<Bytes> got;
  bool blocked = false;
  pipeline.add(forwarder(got, &blocked), "one");
  pipeline.begin_read(kBegin, false);
  std::uint16_t port = 0;
  while (port < 10) feed(pipeline, there(port++));
  blocked = true;
  while (port < 20) feed(pipeline, there(port++));
  EXPECT_EQ(got.size(), 10U);
  EXPECT_EQ(pipeline.ledger().kept.value(), 10U);
  blocked = false;
  pipeline.replay();
  expect_in_order(got, 20);
}

TEST_F(PipelineBacklog, OneOfTwoSensorsThatStallsDoesNotHoldUpTheOther) {
  Pipeline pipeline = make(with_backlog(1U << 20));
  std::vector<Bytes> slow, fast;
  const bool blocked = true;
  pipeline.add(forwarder(slow, &blocked), "slow");
  pipeline.add(forwarder(fast), "fast");
  pipeline.begin_read(kBegin, false);
  for (std::uint16_t port = 0; port < 100; ++port) feed(pipeline, there(port));
  expect_in_order(fast, 100);
}

TEST_F(PipelineBacklog, WhileTheSourceRunsOutOfRoomNothingIsSent) {
  Pipeline pipeline = make(with_backlog(1U << 20));
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  std::uint16_t port = 0;
  pipeline.begin_read(kBegin, true);
  while (port < 100) feed(pipeline, there(port++));
  EXPECT_TRUE(got.empty());
  pipeline.begin_read(kBegin + milliseconds(1), false);
  while (port < 120) feed(pipeline, there(port++));
  pipeline.replay();
  expect_in_order(got, 120);
  EXPECT_EQ(pipeline.ledger().kept.value(), 120U);
}

TEST_F(PipelineBacklog, ABurstLeavesInTrainsAndInOrder) {
  constexpr std::size_t kSize = 8000;
  constexpr std::uint16_t kPackets = 1500;  // 12 MB
  Pipeline pipeline = make(with_backlog(32U << 20));
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  pipeline.begin_read(kBegin, false);
  for (std::uint16_t port = 0; port < kPackets; ++port) feed(pipeline, large(port, kSize));
  EXPECT_GT(got.size(), 10U) << "what fits a train goes at once";
  std::size_t before = 0;
  for (int ms = 1; got.size() < kPackets && ms < 1000; ++ms) {
    EXPECT_LT((got.size() - before) * kSize, 1'200'000U);
    before = got.size();
    pipeline.begin_read(kBegin + milliseconds(ms), false);
    pipeline.replay();
  }
  ASSERT_EQ(got.size(), kPackets);
  for (std::uint16_t port = 0; port < kPackets; ++port) ASSERT_EQ(got[port], large(port, kSize));
}

TEST_F(PipelineBacklog, WhereItIsFullTheOldestMakeRoomForASensor) {
  Pipeline pipeline = make(with_backlog(300));
  feed(pipeline, there(0));
  feed(pipeline, there(1));
  std::vector<Bytes> got;
  const bool blocked = true;
  pipeline.add(forwarder(got, &blocked), "one");
  const Bytes long_one =
      packet().from("8.8.8.8").to("10.0.0.1").protocol(17).payload(Bytes(400)).ethernet();
  pipeline.begin_read(kBegin, false);
  for (std::uint16_t port = 2; port < 50; ++port) feed(pipeline, there(port));
  feed(pipeline, long_one);
  EXPECT_EQ(pipeline.ledger().no_session.value(), 0U);
  ASSERT_EQ(got.size(), 51U);
  for (std::uint16_t port = 0; port < 50; ++port) EXPECT_EQ(got[port], there(port));
  EXPECT_EQ(got.back(), long_one) << "more than the whole backlog holds";
}

TEST_F(PipelineBacklog, WithoutOneEverythingGoesAtOnce) {
  Pipeline pipeline = make(with_backlog(0));
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  pipeline.begin_read(kBegin, true);
  for (std::uint16_t port = 0; port < 300; ++port) feed(pipeline, large(port, 8000));
  EXPECT_EQ(got.size(), 300U);
}

TEST_F(PipelineBacklog, WhatStillWaitsAtTheEndIsLostForWantOfASession) {
  PipelineConfig config = with_backlog(4096);
  config.expected = {"one"};
  Pipeline pipeline = make(config);
  feed(pipeline, there(0));
  feed(pipeline, there(1));
  pipeline.abandon();
  EXPECT_EQ(pipeline.ledger().no_session.value(), 2U);
  EXPECT_EQ(pipeline.ledger().released.value(), 2U);
  EXPECT_EQ(pipeline.missed(0), 2U);
}

TEST_F(PipelineBacklog, OnlyTheFirstCaptureIsAwaited) {
  Pipeline pipeline = make(with_backlog(4096));
  EXPECT_FALSE(pipeline.awaits_first_capture()) << "nothing waits";
  std::vector<Bytes> got;
  const auto copy = forwarder(got);
  pipeline.add(copy, "client", Part::kCopy);
  feed(pipeline, there(0));
  EXPECT_TRUE(pipeline.awaits_first_capture()) << "whoever looks on takes nothing";
  const auto session = forwarder(got);
  pipeline.add(session, "one");
  EXPECT_FALSE(pipeline.awaits_first_capture());
  pipeline.remove(session.get());
  EXPECT_FALSE(pipeline.awaits_first_capture()) << "an outage";
}

TEST_F(PipelineBacklog, WhoConnectsByThemselvesAreNotAwaited) {
  PipelineConfig config = with_backlog(4096);
  config.dialled = false;
  Pipeline pipeline = make(config);
  feed(pipeline, there(0));
  EXPECT_EQ(pipeline.waiting(), 1U);
  EXPECT_FALSE(pipeline.awaits_first_capture());
  pipeline.set_receivers({.sensors = {"one"}});
  EXPECT_TRUE(pipeline.awaits_first_capture());
}

TEST_F(PipelineBacklog, ForNobodyWhoMightComeNothingIsKept) {
  PipelineConfig config = with_backlog(4096);
  config.keep_without_capture = false;
  Pipeline pipeline = make(config);
  feed(pipeline, there(0));
  EXPECT_EQ(pipeline.ledger().no_session.value(), 1U);
  EXPECT_EQ(pipeline.ledger().kept.value(), 0U);
}

/// A tap of which peers learn whether it forwards.
class PipelineWithPeers : public PipelineBacklog {
 protected:
  static PipelineConfig known_to_peers() {
    PipelineConfig config = with_backlog(1U << 20);
    config.peers_stand_in = true;
    return config;
  }
  void set_tapped(std::string_view text) {
    engine_.set_tapped_peers(std::make_shared<const ownership::TappedPeers>(
        ownership::TappedPeers::list(net::CidrSet::parse_rules(text).value())));
  }
  /// Asked by a peer, so that this tap owns it, whether the peer is tapped or not.
  static Bytes from_peer(std::uint16_t port) {
    return packet().from("10.0.0.2").to("10.0.0.1").udp(port, 53).ethernet();
  }
};

TEST_F(PipelineWithPeers, WhatAPeerHasForwardedMeanwhileIsNotSentAgain) {
  Pipeline pipeline = make(known_to_peers());
  pipeline.begin_read(kBegin, false);
  feed(pipeline, from_peer(40000));  // before it is known that the peer is tapped
  feed(pipeline, there(40001));
  set_tapped("10.0.0.2");
  feed(pipeline, from_peer(40002));
  EXPECT_EQ(pipeline.ledger().left_to_peers.value(), 1U);
  pipeline.know_peers();
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  feed(pipeline, from_peer(40003));  // from now on it is this tap's
  pipeline.replay();
  EXPECT_EQ(got, (std::vector<Bytes>{there(40001), from_peer(40003)}));
  EXPECT_EQ(pipeline.ledger().left_to_peers.value(), 2U);
  EXPECT_EQ(pipeline.ledger().kept.value(), pipeline.ledger().released.value());
}

TEST_F(PipelineWithPeers, ALegOfAMeshIsNeverLeftToThem) {
  Pipeline pipeline = make(known_to_peers());
  pipeline.begin_read(kBegin, false);
  set_tapped("10.0.0.2");
  const Bytes bytes = from_peer(40000);
  capture::CapturedPacket leg;
  leg.bytes = bytes;
  leg.length = static_cast<std::uint32_t>(bytes.size());
  leg.offload.known = true;
  pipeline.on_leg(leg);
  pipeline.know_peers();
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  pipeline.replay();
  EXPECT_EQ(got, (std::vector<Bytes>{bytes}));
  EXPECT_EQ(pipeline.ledger().left_to_peers.value(), 0U);
}

TEST_F(PipelineWithPeers, WhilePeersRelyOnItWhatItOwnsIsItsOwnToSend) {
  Pipeline pipeline = make(known_to_peers());
  pipeline.begin_read(kBegin, false);
  set_tapped("10.0.0.2");
  pipeline.know_peers();
  std::vector<Bytes> got;
  const auto session = forwarder(got);
  pipeline.add(session, "one");
  pipeline.set_relied_on(true);
  pipeline.remove(session.get());
  feed(pipeline, from_peer(40000));  // the peer has not heard yet
  pipeline.set_relied_on(false);
  feed(pipeline, from_peer(40001));  // the peer has, and forwards it
  pipeline.add(session, "one");
  pipeline.replay();
  EXPECT_EQ(got, (std::vector<Bytes>{from_peer(40000)}));
  EXPECT_EQ(pipeline.ledger().left_to_peers.value(), 1U);
}

TEST_F(PipelineWithPeers, AtTheStartItWaitsForWordOfThePeersButNotForLong) {
  Pipeline pipeline = make(known_to_peers());
  pipeline.begin_read(kBegin, false);
  feed(pipeline, there(0));
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  pipeline.begin_read(kBegin + milliseconds(500), false);
  pipeline.replay();
  EXPECT_TRUE(got.empty());
  pipeline.begin_read(kBegin + milliseconds(1001), false);
  pipeline.replay();
  EXPECT_EQ(got.size(), 1U);
}

TEST_F(PipelineWithPeers, AtTheEndItWaitsForNoWordOfThem) {
  Pipeline pipeline = make(known_to_peers());
  pipeline.begin_read(kBegin, false);
  feed(pipeline, there(0));
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  pipeline.replay();
  EXPECT_TRUE(got.empty());
  pipeline.hold_no_longer();
  pipeline.replay();
  EXPECT_EQ(got.size(), 1U);
}

}  // namespace
}  // namespace sidetap
