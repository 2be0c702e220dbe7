// The way of one packet: what is split, filtered, sampled and limited, and that the ledger adds up.
#include "sidecar/path/pipeline.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

TEST_F(PipelineTest, TheSourcesWordOnTheDirectionTellsEchoes) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "sensor");
  const Bytes sent = back(40000);
  capture::CapturedPacket packet;
  packet.bytes = sent;
  packet.length = static_cast<std::uint32_t>(sent.size());
  packet.direction = capture::Direction::kOutbound;
  pipeline.on_packet(packet);
  packet.direction = capture::Direction::kInbound;
  pipeline.on_packet(packet);
  EXPECT_EQ(got.size(), 1U);
}

TEST_F(PipelineTest, ASensorsFilterJudgesPacketsAsTheyWereOnTheWire) {
  constexpr std::uint32_t kSegment = 14 + 20 + 20 + 100;
  for (const bool copies : {false, true}) {
    Pipeline pipeline = make({});
    std::vector<Bytes> got;
    std::vector<Bytes> none;
    const auto fitting = forwarder(got, nullptr, up_to(kSegment));
    const auto refusing = forwarder(none, nullptr, up_to(kSegment - 1));
    pipeline.add(fitting, "one");
    if (copies) pipeline.add(refusing, "two", Part::kCopy);
    feed_segments(pipeline, 5);
    ASSERT_EQ(got.size(), 5U);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(sequence_of(got[i]), 1 + i * 100);
    EXPECT_EQ(fitting->counts().filtered.value(), 0U);
    EXPECT_EQ(fitting->counts().segments.value(), 4U);
    EXPECT_TRUE(none.empty());
    // What is filtered and what was added give what was captured.
    EXPECT_EQ(refusing->counts().filtered.value() - refusing->counts().segments.value(),
              copies ? 1U : 0U);
  }
}

TEST_F(PipelineTest, APacketThatWasManyOnTheWireCountsAsManyForTheRate) {
  PipelineConfig config;
  config.narrowing.rate_limit.packets_per_second =
      1000;  // 100 at once, half of it for flows that do not fit
  Pipeline pipeline = make(config);
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  for (int i = 0; i < 20; ++i) feed_segments(pipeline, 44);
  EXPECT_LE(got.size(), 100U + 44);
  EXPECT_GE(got.size(), 50U);
  EXPECT_EQ(pipeline.ledger().rate_limited.value(), 20U - got.size() / 44);
}

TEST_F(PipelineTest, WhatATunnelLeavesToBeSplitInsideIsCounted) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  Bytes bytes = there(4789);
  bytes.resize(3000);
  capture::CapturedPacket captured;
  captured.bytes = bytes;
  captured.length = 3000;
  captured.offload.known = true;
  captured.offload.segment_size = 1400;  // of TCP
  pipeline.on_packet(captured);
  EXPECT_EQ(got, std::vector<Bytes>{bytes});
  EXPECT_EQ(pipeline.ledger().unsplit.value(), 1U);
}

TEST_F(PipelineTest, WhatTheCaptureHadNoRoomForIsCountedAsCutWhateverItWasOnTheWire) {
  PipelineConfig config;
  config.captured_bytes = 2000;
  Pipeline pipeline = make(config);
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  Bytes bytes = there(443);
  const auto see = [&](std::size_t captured_bytes, std::uint32_t length) {
    bytes.resize(captured_bytes);
    capture::CapturedPacket captured;
    captured.bytes = bytes;
    captured.length = length;
    captured.offload.known = true;
    captured.offload.segment_size = 1400;
    pipeline.on_packet(captured);
  };
  see(1500, 198'000);
  EXPECT_EQ(pipeline.ledger().cut.value(), 1U);
  EXPECT_EQ(pipeline.ledger().unsplit.value(), 0U);
  see(2000, 198'000);
  EXPECT_EQ(pipeline.ledger().cut.value(), 1U) << "no more was asked for";
}

TEST_F(PipelineTest, SamplingTakesPacketsAsTheyWereOnTheWire) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  const auto sampling = std::make_shared<forwarding::Forwarder>(
      std::make_unique<Recorder>(got), forwarding::SensorFilter(),
      rpcap::Sampling{.method = rpcap::SamplingMethod::kOneInN, .value = 10}, 262'144);
  pipeline.add(sampling, "one");
  for (int i = 0; i < 5; ++i) feed_segments(pipeline, 44);
  ASSERT_EQ(got.size(), 22U);
  EXPECT_EQ(sampling->counts().sampled.value(), 5U * 44 - 22);
  EXPECT_EQ(pipeline.ledger().taken.value() + pipeline.ledger().segments.value(), 5U * 44);
  // The second that is taken is the eleventh.
  EXPECT_EQ(sequence_of(got[1]) - sequence_of(got[0]), 10U * 100);
}

TEST_F(PipelineTest, TheLedgerBalances) {
  PipelineConfig config;
  config.narrowing.rate_limit.packets_per_second = 10;
  Pipeline pipeline = make(config);
  std::vector<Bytes> got;
  const auto target = forwarder(got);
  feed(pipeline, there(40000));
  pipeline.add(target, "one");
  for (std::uint16_t i = 0; i < 100; ++i) {
    feed(pipeline, there(i));
    feed(pipeline, packet().from("8.8.8.8").to("8.8.4.4").udp(1, 2).ethernet());
  }
  pipeline.remove(target.get());
  feed(pipeline, there(40001));
  const Ledger& ledger = pipeline.ledger();
  EXPECT_EQ(ledger.read.value(), 202U);
  EXPECT_EQ(ledger.not_owned_total(), 100U);
  EXPECT_GT(ledger.rate_limited.value(), 0U);
  EXPECT_EQ(ledger.read.value(), ledger.not_owned_total() + ledger.rate_limited.value() +
                                     ledger.no_session.value() + ledger.kept.value() -
                                     ledger.released.value() + ledger.taken.value());
  EXPECT_EQ(ledger.taken.value(), got.size());
}

}  // namespace
}  // namespace sidetap
