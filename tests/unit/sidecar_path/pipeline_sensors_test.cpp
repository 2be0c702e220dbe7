// Which of several sensors and clients gets a packet, and what each of them misses.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_path/pipeline_fixture.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

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
  config.backlog = 4096;
  Pipeline pipeline = make(config);
  std::vector<Bytes> client, sensor;
  pipeline.add(forwarder(client), "wireshark", Part::kCopy);
  feed(pipeline, there(40000));
  EXPECT_EQ(pipeline.ledger().kept.value(), 1U) << "it ends no outage";
  EXPECT_EQ(pipeline.ledger().taken.value(), 0U);

  const auto taker = forwarder(sensor);
  pipeline.add(taker, "sensor");
  pipeline.replay();
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

}  // namespace
}  // namespace sidetap
