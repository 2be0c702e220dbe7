// What an operator leaves out of what is owned.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/path/pipeline.h"
#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

class NarrowingTest : public PipelineTest {
 protected:
  static void expect_balanced(const Ledger& ledger) {
    EXPECT_EQ(ledger.read.value(), ledger.not_owned_total() + ledger.owned_total());
    EXPECT_EQ(ledger.owned_total(), ledger.paused.value() + ledger.sampled_flows.value() +
                                        ledger.rate_limited.value() + ledger.no_session.value() +
                                        ledger.left_to_peers.value() + ledger.kept.value() -
                                        ledger.released.value() + ledger.taken.value());
  }
};

TEST_F(NarrowingTest, AFlowIsForwardedInBothDirectionsOrNotAtAll) {
  PipelineConfig config;
  config.narrowing.flow_sampling = 4;
  Pipeline pipeline = make(config);
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  unsigned flows = 0;
  for (std::uint16_t port = 1000; port < 2000; ++port) {
    const std::size_t before = got.size();
    feed(pipeline, there(port));
    feed(pipeline, back(port));
    const std::size_t more = got.size() - before;
    EXPECT_TRUE(more == 0 || more == 2) << port;
    flows += more == 2;
  }
  EXPECT_NEAR(flows, 250, 60);
  EXPECT_EQ(pipeline.ledger().sampled_flows.value(), 2000U - got.size());
  expect_balanced(pipeline.ledger());
}

TEST_F(NarrowingTest, WhilePausedNobodyGetsAnythingAndNothingIsLostForWantOfACapture) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  std::vector<Bytes> copies;
  pipeline.add(forwarder(got), "one");
  pipeline.add(forwarder(copies), "two", Part::kCopy);
  feed(pipeline, there(1));
  pipeline.set_narrowing({.paused = true}, 0);
  feed(pipeline, there(2));
  feed(pipeline, packet().from("8.8.8.8").to("8.8.4.4").udp(1, 2).ethernet());
  EXPECT_EQ(got.size(), 1U);
  EXPECT_EQ(copies.size(), 1U);
  pipeline.set_narrowing({}, 0);
  feed(pipeline, there(3));
  EXPECT_EQ(got.size(), 2U);
  EXPECT_EQ(copies.size(), 2U);
  EXPECT_EQ(pipeline.ledger().paused.value(), 1U);
  EXPECT_EQ(pipeline.ledger().no_session.value(), 0U);
  expect_balanced(pipeline.ledger());
}

TEST_F(NarrowingTest, APauseHidesNothingFromOwnership) {
  ownership::EngineConfig config = engine_config();
  config.peers_change = true;
  ownership::Engine engine(config, nothing_);
  PipelineConfig paused;
  paused.narrowing.paused = true;
  Pipeline pipeline(paused, engine);
  feed(pipeline, packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, 80).syn().ethernet());
  EXPECT_EQ(pipeline.ledger().paused.value(), 1U);
  EXPECT_EQ(engine.flows(), 1U);
}

TEST_F(NarrowingTest, TheSnaplenCutsWhatIsForwardedButNotWhatASensorsFilterJudges) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  const Bytes whole = packet().from("8.8.8.8").to("10.0.0.1").udp(1, 53).data(400).ethernet();
  const auto longest = static_cast<std::uint32_t>(whole.size());
  pipeline.add(forwarder(got, nullptr, up_to(longest)), "one");
  pipeline.set_narrowing({.snaplen = 64}, 0);
  feed(pipeline, whole);
  feed_segments(pipeline, 3);
  pipeline.set_narrowing({.snaplen = 262'144}, 0);
  feed(pipeline, whole);
  ASSERT_EQ(got.size(), 5U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(got[i].size(), 64U);
  EXPECT_EQ(Bytes(whole.begin(), whole.begin() + 64), got[0]);
  EXPECT_EQ(got[4].size(), whole.size());
}

TEST_F(NarrowingTest, ARateThatChangesAppliesToWhatComesThen) {
  Pipeline pipeline = make({});
  std::vector<Bytes> got;
  pipeline.add(forwarder(got), "one");
  const auto feed_many = [&] {
    const std::size_t before = got.size();
    for (std::uint16_t port = 0; port < 200; ++port) feed(pipeline, there(port));
    return got.size() - before;
  };
  EXPECT_EQ(feed_many(), 200U);
  pipeline.set_narrowing({.rate_limit = {.packets_per_second = 100}}, 0);
  EXPECT_LE(feed_many(), 10U);
  pipeline.set_narrowing({}, 0);
  EXPECT_EQ(feed_many(), 200U);
  EXPECT_GE(pipeline.ledger().rate_limited.value(), 190U);
  expect_balanced(pipeline.ledger());
}

TEST_F(NarrowingTest, BytesAreCountedAsOnTheWire) {
  Pipeline pipeline = make({});
  const Bytes owned = there(1);
  const Bytes strange = packet().from("8.8.8.8").to("8.8.4.4").udp(1, 2).ethernet();
  capture::CapturedPacket packet;
  packet.bytes = owned;
  packet.length = 9000;
  pipeline.on_packet(packet);
  packet.bytes = strange;
  packet.length = 500;
  pipeline.on_packet(packet);
  EXPECT_EQ(pipeline.ledger().read_bytes.value(), 9500U);
  EXPECT_EQ(pipeline.ledger().owned_bytes.value(), 9000U);
}

}  // namespace
}  // namespace sidetap
