#include "sidecar/path/pipeline.h"

#include <map>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <pcap/bpf.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

class Recorder final : public forwarding::Output {
 public:
  explicit Recorder(std::vector<Bytes>& into, const bool* blocked = nullptr)
      : into_(into), blocked_(blocked) {}
  void add(const forwarding::OutgoingPacket& packet) override {
    Bytes whole(packet.head.begin(), packet.head.end());
    whole.insert(whole.end(), packet.body.begin(), packet.body.end());
    into_.push_back(std::move(whole));
    counts_.forwarded.add();
  }
  void flush() override {}
  int blocked_descriptor() const override { return blocked_ != nullptr && *blocked_ ? 1 : -1; }

 private:
  std::vector<Bytes>& into_;
  const bool* blocked_;
};

class PipelineTest : public testing::Test {
 protected:
  static ownership::EngineConfig engine_config() {
    ownership::EngineConfig config;
    config.self.addresses = {ip("10.0.0.1")};
    return config;
  }

  Pipeline make(PipelineConfig config) {
    config.link = capture::LinkType::kEthernet;
    return {config, engine_};
  }

  std::shared_ptr<forwarding::Forwarder> forwarder(std::vector<Bytes>& into,
                                                   const bool* blocked = nullptr,
                                                   forwarding::SensorFilter filter = {}) {
    return std::make_shared<forwarding::Forwarder>(std::make_unique<Recorder>(into, blocked),
                                                   std::move(filter), rpcap::Sampling(), 262'144);
  }
  /// Lets packets of up to `longest` bytes pass.
  static forwarding::SensorFilter up_to(std::uint32_t longest) {
    const auto filter = forwarding::SensorFilter::make(std::vector<rpcap::BpfInstruction>{
        {.code = BPF_LD | BPF_W | BPF_LEN},
        {.code = BPF_JMP | BPF_JGT | BPF_K, .jt = 1, .k = longest},
        {.code = BPF_RET | BPF_K, .k = 262'144},
        {.code = BPF_RET | BPF_K, .k = 0}});
    EXPECT_TRUE(filter);
    return *filter;
  }

  static void feed(Pipeline& pipeline, const Bytes& bytes) {
    capture::CapturedPacket packet;
    packet.bytes = bytes;
    packet.length = static_cast<std::uint32_t>(bytes.size());
    packet.offload.known = true;
    pipeline.on_packet(packet);
  }

  /// One packet of TCP that left as `count` segments.
  static void feed_segments(Pipeline& pipeline, std::uint32_t count) {
    Bytes bytes = packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, 80).ethernet();
    bytes.resize(14 + 20 + 20 + count * 100);
    const auto length = bytes.size() - 14;
    bytes[16] = static_cast<std::byte>(length >> 8);
    bytes[17] = static_cast<std::byte>(length);
    capture::CapturedPacket captured;
    captured.bytes = bytes;
    captured.length = static_cast<std::uint32_t>(bytes.size());
    captured.offload.known = true;
    captured.offload.segment_size = 100;
    pipeline.on_packet(captured);
  }
  static std::uint32_t sequence_of(const Bytes& segment) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i)
      number = number << 8 | std::to_integer<std::uint32_t>(segment[14 + 20 + 4 + i]);
    return number;
  }

  static Bytes there(std::uint16_t port) {
    return packet().from("8.8.8.8").to("10.0.0.1").udp(port, 53).ethernet();
  }
  static Bytes back(std::uint16_t port) {
    return packet().from("10.0.0.1").to("8.8.8.8").udp(53, port).ethernet();
  }

  ownership::NoListeningSockets nothing_;
  ownership::Engine engine_{engine_config(), nothing_};
};

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

constexpr std::uint16_t kFlows = 600;

TEST_F(PipelineTest, BalanceGivesBothDirectionsToOneAndMovesOnlyWhatMust) {
  PipelineConfig config;
  config.balance = true;
  Pipeline pipeline = make(config);
  std::vector<std::vector<Bytes>> got(3);
  std::vector<std::shared_ptr<forwarding::Forwarder>> forwarders;
  for (std::size_t i = 0; i < got.size(); ++i) {
    forwarders.push_back(forwarder(got[i]));
    pipeline.add(forwarders.back(), "sensor-" + std::to_string(i));
  }
  // Flow -> who has got it.
  const auto distribute = [&] {
    std::map<unsigned, std::set<std::size_t>> owners;
    for (auto& list : got) list.clear();
    for (std::uint16_t port = 0; port < kFlows; ++port) {
      feed(pipeline, there(static_cast<std::uint16_t>(40000 + port)));
      feed(pipeline, back(static_cast<std::uint16_t>(40000 + port)));
      for (std::size_t i = 0; i < got.size(); ++i) {
        if (!got[i].empty()) owners[port].insert(i);
        got[i].clear();
      }
    }
    return owners;
  };
  const auto before = distribute();
  std::vector<unsigned> share(got.size());
  ASSERT_EQ(before.size(), kFlows);
  for (const auto& [port, owners] : before) {
    ASSERT_EQ(owners.size(), 1U) << "flow " << port;
    ++share[*owners.begin()];
  }
  for (const unsigned flows : share) EXPECT_GT(flows, kFlows / 3U / 2);

  pipeline.remove(forwarders[1].get());
  const auto without = distribute();
  for (const auto& [port, owners] : without) {
    ASSERT_EQ(owners.size(), 1U);
    EXPECT_NE(*owners.begin(), 1U);
    if (*before.at(port).begin() != 1) {
      EXPECT_EQ(owners, before.at(port));
    }
  }

  pipeline.add(forwarders[1], "sensor-1");
  EXPECT_EQ(distribute(), before);
}

TEST_F(PipelineTest, ReplicateGivesEverythingToAll) {
  Pipeline pipeline = make({});
  std::vector<Bytes> one, two;
  pipeline.add(forwarder(one), "one");
  pipeline.add(forwarder(two), "two");
  feed(pipeline, there(40000));
  EXPECT_EQ(one, std::vector<Bytes>{there(40000)});
  EXPECT_EQ(two, one);
}

TEST_F(PipelineTest, AClientThatLooksOnTakesNothingFromTheSensors) {
  PipelineConfig config;
  config.balance = true;
  config.outage_buffer = 4096;
  Pipeline pipeline = make(config);
  std::vector<Bytes> client, sensor;
  pipeline.add(forwarder(client), "wireshark", Part::kCopy);
  feed(pipeline, there(40000));
  EXPECT_EQ(pipeline.ledger().kept.value(), 1U) << "it ends no outage";
  EXPECT_EQ(pipeline.ledger().taken.value(), 0U);

  const auto taker = forwarder(sensor);
  pipeline.add(taker, "sensor");
  pipeline.replay(0);
  for (std::uint16_t port = 40001; port < 40020; ++port) feed(pipeline, there(port));
  EXPECT_EQ(sensor.size(), 20U) << "no flow is balanced away to the client";
  EXPECT_EQ(client, sensor) << "the client gets all, and what was kept only once";
  EXPECT_EQ(pipeline.ledger().taken.value(), 20U);

  pipeline.remove(taker.get());
  for (std::uint16_t i = 0; i < 200; ++i) feed(pipeline, there(40000));
  EXPECT_GT(pipeline.ledger().no_session.value(), 0U) << "what no sensor gets is lost";
}

TEST_F(PipelineTest, WhatOneOfSeveralSensorsMissesIsCounted) {
  PipelineConfig config;
  config.expected = {"one", "two"};
  Pipeline pipeline = make(config);
  std::vector<Bytes> one, two;
  feed(pipeline, there(40000));
  pipeline.add(forwarder(one), "one");
  for (std::uint16_t port = 1; port <= 10; ++port) feed(pipeline, there(port));
  const auto second = forwarder(two);
  pipeline.add(second, "two");
  for (std::uint16_t port = 1; port <= 5; ++port) feed(pipeline, there(port));
  pipeline.remove(second.get());
  feed(pipeline, there(1));
  EXPECT_EQ(pipeline.missed(0), 1U);
  EXPECT_EQ(pipeline.missed(1), 12U);
  EXPECT_EQ(pipeline.ledger().no_session.value(), 1U) << "what nobody got";
  const std::uint64_t owned = pipeline.ledger().owned_total();
  EXPECT_EQ(owned, pipeline.missed(0) + one.size());
  EXPECT_EQ(owned, pipeline.missed(1) + two.size());
}

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

TEST_F(PipelineTest, APacketThatWasManyOnTheWireCountsAsManyForTheRate) {
  PipelineConfig config;
  config.rate_limit.packets_per_second = 1000;  // 100 at once, half of it for flows that do not fit
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
  config.rate_limit.packets_per_second = 10;
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
