// The loopback interface beside the pod's own: which legs reach the captures of both.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/mesh/leg_filter.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"
#include "tests/unit/sidecar_path/leg_path_fixture.h"

namespace sidetap {
namespace {

using test::Bytes;

TEST_F(LegPathTest, ForwardsALegFromItsFirstPacketOn) {
  start_istio(false);
  on_loopback(true, kSynFlag);
  on_loopback(false, kSynFlag | kAckFlag);
  EXPECT_TRUE(got_.empty());
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(got_.size(), 3U);
  EXPECT_EQ(legs(), 3U);
  on_loopback(false, kAckFlag, "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(got_.size(), 4U);
}

TEST_F(LegPathTest, AsksWhoOpensAConnectionBeforeItsPacketsAreRead) {
  start(false, mesh::listeners_of({4140, 4143, 4190, 4191}, 2102));
  const auto pass = [this](std::uint16_t port) {
    for (const bool opens : {true, false})
      loopback_.waiting.push_back(segment("10.0.0.1", port, "10.0.0.1", 8080,
                                          opens ? kSynFlag : kAckFlag, opens ? "" : "GET /"));
    path_->read(kPacketsPerRead, now_);
  };
  for (const std::uint16_t port : {std::uint16_t{40'000}, std::uint16_t{40'001}})
    owners_->open("10.0.0.1", port, "10.0.0.1", 8080, 2102);
  openings_.waiting.push_back(segment("10.0.0.1", 40'000, "10.0.0.1", 8080, kSynFlag));
  path_->read(kPacketsPerRead, now_);
  owners_->sockets.clear();
  pass(40'000);
  EXPECT_EQ(got_.size(), 2U);
  pass(40'001);
  EXPECT_EQ(got_.size(), 2U) << "nobody can say any more who has opened it";
}

TEST_F(LegPathTest, LooksAtNoOpeningsWithoutAMesh) {
  start(false, {});
  const auto nothing = mesh::build_leg_filter({}, {});
  EXPECT_EQ(openings_.filter, nothing);
  owners_->listening = mesh::listeners_of({15001, 15006, 15020, 15021});
  path_->look();
  EXPECT_GT(openings_.filter.size(), nothing.size());
}

TEST_F(LegPathTest, GivesLegsTheMacAddressesOfTheInterface) {
  start_istio(false);
  on_interface(true, kSynFlag, {}, 443);  // from mac(1) to mac(2), as the builder says
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET /");
  const auto view = capture::parse_packet(capture::LinkType::kEthernet, got_.back());
  EXPECT_EQ(view.destination_mac, test::mac(1));
  EXPECT_EQ(view.source_mac, test::mac(2));
}

TEST_F(LegPathTest, LeavesOutWhatIsNoLegAndCountsIt) {
  start_istio(false);
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET /healthz HTTP/1.1\r\nUser-Agent: kube-probe/1.31\r\n\r\n");
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(left_out(ownership::Rule::kLoopback), 2U);
  EXPECT_EQ(pipeline_.ledger().read.value(), 2U);
}

TEST_F(LegPathTest, TakesOneOfTheTwoCopiesOfAPacket) {
  start_istio(false);
  loopback_.direction = capture::Direction::kOutbound;
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(left_out(ownership::Rule::kLoopback), 2U);
}

TEST_F(LegPathTest, ASilentLegGoesOnAfterAWhile) {
  start_istio(false);
  on_loopback(true, kSynFlag);
  wait_out();
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, FollowsAProxyThatStartsAndEnds) {
  start(false, mesh::listeners_of({}));
  EXPECT_EQ(path_->present_mesh().kind, mesh::Kind::kNone);
  ASSERT_EQ(loopback_.filter.size(), 1U) << "nothing passes";
  owners_->listening = mesh::listeners_of({15001, 15006, 15021});
  path_->look();
  EXPECT_EQ(path_->present_mesh().kind, mesh::Kind::kIstio);
  EXPECT_GT(loopback_.filter.size(), 1U);
  owners_->listening = mesh::listeners_of({});
  path_->look();
  EXPECT_EQ(loopback_.filter.size(), 1U);
}

TEST_F(LegPathTest, AHandshakeThatIsPaddedDoesNotWait) {
  start_istio(false);
  Bytes bytes = segment("127.0.0.6", 40'000, "10.0.0.1", 8080, kSynFlag);
  bytes.resize(2'000);
  loopback_.waiting.push_back(std::move(bytes));
  path_->read(kPacketsPerRead, now_);
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, TheOperatorsFilterHoldsForLegsAsTheyLeave) {
  start_istio(false);
  path_->set_filter("not host 127.0.0.6");
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(got_.empty());
  path_->set_filter("dst port 8080");
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, WhatIsNoLegAndGoesOnIsLeftToTheKernel) {
  start_istio(false);
  const std::size_t before = loopback_.filter.size();
  for (int i = 0; i < 100; ++i) {
    loopback_.waiting.push_back(segment("127.0.0.1", 41'000, "127.0.0.1", 5432, kAckFlag, "sql"));
    path_->read(kPacketsPerRead, now_);
  }
  owners_->open("127.0.0.1", 41'000, "127.0.0.1", 5432, mesh::kAppUser);
  path_->look();
  EXPECT_GT(loopback_.filter.size(), before);
  owners_->sockets.clear();
  path_->look();
  EXPECT_EQ(loopback_.filter.size(), before);
}

TEST(LegsInALoop, TravelInTheCapturesOfTheInterface) {
  const auto tcp = [](std::string_view from, std::uint16_t port, std::uint8_t flags) {
    return test::packet().from(from).to("10.0.0.1").tcp(port, 8080, flags).ethernet();
  };
  FakeLoopback loopback;
  loopback.waiting = {tcp("127.0.0.6", 40'000, kSynFlag), tcp("127.0.0.6", 40'000, kAckFlag)};
  FakeLoopback interface;
  interface.waiting = {tcp("8.8.8.8", 50'000, kSynFlag)};
  auto owners = std::make_unique<mesh::FakeOwners>();
  owners->listening = mesh::listeners_of({15001, 15006}, 5678);
  CaptureLoopConfig config;
  config.interface = "eth0";
  config.engine.self.addresses = {ip("10.0.0.1")};
  config.reply = [](const CommandQueue::Task& task) { task(); };
  config.legs = std::make_shared<LegPath>(
      LegPathConfig(), LegDevices{std::make_unique<LoopbackDevice>(loopback), nullptr},
      std::move(owners));
  CaptureLoop loop(std::move(config), std::make_unique<LoopbackDevice>(interface),
                   std::make_unique<ownership::NoListeningSockets>());
  std::vector<Bytes> got;
  loop.start_output(std::make_unique<Recorder>(got), "sensor", 0, {});
  loop.run();
  const auto deadline = LegPath::Clock::now() + std::chrono::seconds(10);
  while (loop.ledger().read.value() < 3 && LegPath::Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  loop.finish();
  EXPECT_EQ(got.size(), 3U);
  LoopCounts counts;
  loop.counts([&counts](const LoopCounts& told) { counts = told; });
  EXPECT_EQ(counts.source.accepted, 3U) << "of both interfaces";
  EXPECT_EQ(counts.loopback, 2U);
  EXPECT_EQ(counts.mesh, mesh::Kind::kEnvoy);
}

}  // namespace
}  // namespace sidetap
