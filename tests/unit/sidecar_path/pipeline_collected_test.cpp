// Packets that other taps have forwarded: all are owned, and leave as they came.
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

class PipelineCollected : public PipelineTest {
 protected:
  static void collect(Pipeline& pipeline, const Bytes& bytes, std::uint32_t length = 0) {
    capture::CapturedPacket packet;
    packet.bytes = bytes;
    packet.length = length == 0 ? static_cast<std::uint32_t>(bytes.size()) : length;
    packet.offload.known = true;
    pipeline.collected().on_packet(packet);
  }
  static Bytes between_others(std::uint16_t port) {
    return packet().from("10.9.0.1").to("10.9.0.2").udp(port, 53).ethernet();
  }
};

TEST_F(PipelineCollected, EveryPacketIsOwnedWhoeverSentIt) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  const std::vector<Bytes> sent = {between_others(1), there(2), back(3), Bytes(7), Bytes{}};
  for (const Bytes& bytes : sent) collect(pipeline, bytes);
  EXPECT_EQ(got, sent);
  const Ledger& ledger = pipeline.ledger();
  EXPECT_EQ(ledger.read.value(), sent.size());
  EXPECT_EQ(ledger.owned_total(), sent.size());
  EXPECT_EQ(ledger.not_owned_total(), 0U);
  EXPECT_EQ(ledger.taken.value(), sent.size());
}

TEST_F(PipelineCollected, WhatATapHasCutStaysCut) {
  PipelineConfig config;
  config.collected = true;
  config.captured_bytes = 262'144;
  Pipeline pipeline = make(config);
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  Bytes bytes = between_others(1);
  const auto length = static_cast<std::uint32_t>(bytes.size());
  bytes.resize(20);
  collect(pipeline, bytes, length);
  EXPECT_EQ(got, std::vector<Bytes>{bytes});
  EXPECT_EQ(pipeline.ledger().cut.value(), 0U);
}

TEST_F(PipelineCollected, TheSensorsFilterIsAsked) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  pipeline.add(forwarder(got, nullptr, up_to(50)), "one");
  collect(pipeline, between_others(1));
  collect(pipeline, Bytes(51));
  EXPECT_EQ(got, std::vector<Bytes>{between_others(1)});
  EXPECT_EQ(pipeline.ledger().taken.value(), 2U);
}

TEST_F(PipelineCollected, BothDirectionsOfAFlowGoToOneSensor) {
  PipelineConfig config;
  config.balance = true;
  Pipeline pipeline = make(config);
  std::vector<Bytes> one, two;
  pipeline.add(forwarder(one), "one");
  pipeline.add(forwarder(two), "two");
  for (std::uint16_t port = 1; port <= 64; ++port) {
    const auto before = one.size();
    collect(pipeline, there(port));
    collect(pipeline, back(port));
    EXPECT_NE((one.size() - before) % 2, 1U) << port;
  }
  EXPECT_EQ(one.size() + two.size(), 128U);
  EXPECT_FALSE(one.empty() || two.empty());
}

/// Keeps the numbers of the taps that the packets came from.
class Origins final : public forwarding::Output {
 public:
  Origins(std::vector<std::uint32_t>& into, const bool& blocked) : into_(into), blocked_(blocked) {}
  void add(const forwarding::OutgoingPacket& packet) override { into_.push_back(packet.origin); }
  void flush() override {}
  bool takes_more() const override { return !blocked_; }

 private:
  std::vector<std::uint32_t>& into_;
  const bool& blocked_;
};

TEST_F(PipelineCollected, AnOutputLearnsWhichTapAPacketCameFrom) {
  PipelineConfig config;
  config.backlog = 1U << 20;
  Pipeline pipeline = make(config);
  std::vector<std::uint32_t> origins;
  bool blocked = false;
  pipeline.add(std::make_shared<forwarding::Forwarder>(std::make_unique<Origins>(origins, blocked),
                                                       forwarding::SensorFilter(),
                                                       rpcap::Sampling(), 262'144),
               "one");
  const Bytes bytes = between_others(1);
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.length = static_cast<std::uint32_t>(bytes.size());
  packet.offload.known = true;
  packet.origin = 7;
  pipeline.collected().on_packet(packet);
  blocked = true;
  packet.origin = 8;
  pipeline.collected().on_packet(packet);
  blocked = false;
  pipeline.begin_read(Pipeline::Clock::time_point(std::chrono::hours(3)), false);
  pipeline.replay();
  EXPECT_EQ(origins, (std::vector<std::uint32_t>{7, 8})) << "also through the backlog";
}

TEST_F(PipelineCollected, WhatCannotLeaveWaitsInOrder) {
  PipelineConfig config;
  config.backlog = 1U << 20;
  Pipeline pipeline = make(config);
  std::vector<Bytes> got;
  bool blocked = true;
  pipeline.add(forwarder(got, &blocked), "one");
  for (std::uint16_t port = 0; port < 20; ++port) collect(pipeline, between_others(port));
  EXPECT_TRUE(got.empty());
  EXPECT_EQ(pipeline.ledger().kept.value(), 20U);
  blocked = false;
  pipeline.begin_read(Pipeline::Clock::time_point(std::chrono::hours(3)), false);
  pipeline.replay();
  ASSERT_EQ(got.size(), 20U);
  for (std::uint16_t port = 0; port < 20; ++port) EXPECT_EQ(got[port], between_others(port));
}

}  // namespace
}  // namespace sidetap
