// What is kept while no sensor is there, and how it is sent when one is.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

TEST_F(PipelineTest, WhatComesDuringAnOutageIsSentFirstAfterIt) {
  PipelineConfig config;
  config.outage_buffer = 4096;
  Pipeline pipeline = make(config);
  feed(pipeline, there(40000));
  feed(pipeline, there(40001));
  EXPECT_EQ(pipeline.ledger().kept.value(), 2U);
  EXPECT_FALSE(pipeline.can_replay()) << "nobody is there";
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  feed(pipeline, there(40002));
  EXPECT_TRUE(got.empty()) << "not in the middle of the read";
  EXPECT_TRUE(pipeline.can_replay());
  pipeline.replay(1);
  feed(pipeline, there(40003));
  EXPECT_EQ(got, (std::vector<Bytes>{there(40000), there(40001), there(40002), there(40003)}));
  EXPECT_EQ(pipeline.ledger().released.value(), 3U);
  EXPECT_EQ(pipeline.ledger().taken.value(), 4U);
}

TEST_F(PipelineTest, AnOutageIsReplayedInPiecesAndAsFastAsTheSensorTakesIt) {
  PipelineConfig config;
  config.outage_buffer = 1U << 20;
  Pipeline pipeline = make(config);
  constexpr std::uint16_t kKept = 5000;
  for (std::uint16_t port = 0; port < kKept; ++port) feed(pipeline, there(port));
  std::vector<Bytes> got;
  bool blocked = true;
  pipeline.add(forwarder(got, &blocked), "one");
  pipeline.replay(100);
  EXPECT_TRUE(got.empty());
  EXPECT_FALSE(pipeline.can_replay());
  blocked = false;
  pipeline.replay(100);
  EXPECT_GE(got.size(), 200U) << "faster than packets come";
  EXPECT_LT(got.size(), 2000U);
  for (std::uint16_t port = kKept; pipeline.can_replay(); ++port) {
    feed(pipeline, there(port));
    pipeline.replay(1);
  }
  ASSERT_GT(got.size(), kKept);
  for (std::uint16_t port = 0; port < got.size(); ++port) EXPECT_EQ(got[port], there(port));
}

TEST_F(PipelineTest, WhereTheOutageBufferIsFullTheOldestMakeRoomForASensor) {
  PipelineConfig config;
  config.outage_buffer = 300;
  Pipeline pipeline = make(config);
  feed(pipeline, there(0));
  feed(pipeline, there(1));
  std::vector<Bytes> got;
  bool blocked = true;
  pipeline.add(forwarder(got, &blocked), "one");
  const Bytes large =
      packet().from("8.8.8.8").to("10.0.0.1").protocol(17).payload(Bytes(400)).ethernet();
  for (std::uint16_t port = 2; port < 50; ++port) feed(pipeline, there(port));
  feed(pipeline, large);
  EXPECT_EQ(pipeline.ledger().no_session.value(), 0U);
  ASSERT_EQ(got.size(), 51U);
  for (std::uint16_t port = 0; port < 50; ++port) EXPECT_EQ(got[port], there(port));
  EXPECT_EQ(got.back(), large) << "more than the whole buffer holds";
}

TEST_F(PipelineTest, WhatStillWaitsAtTheEndIsLostForWantOfASession) {
  PipelineConfig config;
  config.outage_buffer = 4096;
  config.expected = {"one"};
  Pipeline pipeline = make(config);
  feed(pipeline, there(0));
  feed(pipeline, there(1));
  pipeline.abandon();
  EXPECT_EQ(pipeline.ledger().no_session.value(), 2U);
  EXPECT_EQ(pipeline.ledger().released.value(), 2U);
  EXPECT_EQ(pipeline.missed(0), 2U);
}

}  // namespace
}  // namespace sidetap
