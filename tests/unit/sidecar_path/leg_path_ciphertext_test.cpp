// The ciphertext on the pod's own interface: what waits until it is known whether a leg stands for
// it, and what is left out.
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_path/leg_path_fixture.h"

namespace sidetap {
namespace {

const std::string kClientHello = "\x16\x03\x01 hello";
const std::string kRecord = "\x17\x03\x03 data";

TEST_F(LegPathTest, BothForwardsCiphertextAtOnce) {
  start_istio(false);
  on_interface(true, kSynFlag);
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, PlaintextLeavesOutTheCiphertextOfALeg) {
  start_istio(true);
  on_interface(true, kSynFlag);
  on_interface(false, kSynFlag | kAckFlag);
  on_interface(true, kAckFlag, kClientHello);
  on_interface(false, kAckFlag, std::string(300, 's'));
  on_interface(true, kAckFlag, kRecord);
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  on_interface(false, kAckFlag, std::string(400, 'a'));
  EXPECT_EQ(got_.size(), 2U) << "the leg";
  wait_out();
  EXPECT_EQ(got_.size(), 2U);
  EXPECT_EQ(left_out(ownership::Rule::kMeshCovered), 6U);
  on_interface(true, kAckFlag, kRecord);
  EXPECT_EQ(left_out(ownership::Rule::kMeshCovered), 7U);
}

TEST_F(LegPathTest, PlaintextKeepsWhatHasNoLegInOrder) {
  start_istio(true);
  on_interface(true, kSynFlag);
  on_interface(true, kAckFlag, kClientHello);
  on_interface(false, capture::kTcpRst | kAckFlag);
  EXPECT_TRUE(got_.empty()) << "it waits";
  wait_out();
  ASSERT_EQ(got_.size(), 3U);
  const auto flags = [](const test::Bytes& bytes) {
    return capture::parse_packet(capture::LinkType::kEthernet, bytes).tcp_flags;
  };
  EXPECT_EQ(flags(got_[0]), kSynFlag);
  EXPECT_EQ(flags(got_[2]), capture::kTcpRst | kAckFlag);
}

TEST_F(LegPathTest, PlaintextDelaysNothingElse) {
  start_istio(true);
  on_interface(true, kSynFlag, {}, 15021);
  EXPECT_EQ(got_.size(), 1U);
}

TEST_F(LegPathTest, WhatWaitsIsBounded) {
  start_istio(true);
  on_interface(true, kSynFlag);
  const std::string large(60'000, 'x');
  for (int i = 0; i < 100; ++i) on_interface(false, kAckFlag, large);
  EXPECT_GT(got_.size(), 20U);
}

TEST_F(LegPathTest, WhatWaitsIsBoundedForSmallPacketsToo) {
  start_istio(true);
  for (int i = 0; i < 40'000; ++i) on_interface(false, kAckFlag);
  EXPECT_GT(pipeline_.ledger().read.value(), 10'000U)
      << "each costs several times its bytes while it waits";
}

TEST_F(LegPathTest, AtTheEndNothingWaits) {
  start_istio(true);
  on_interface(true, kSynFlag);
  on_loopback(true, kSynFlag);
  path_->release(now_, true);
  EXPECT_EQ(got_.size(), 2U);
}

TEST_F(LegPathTest, ALegThatTheFilterLeavesOutStandsForItsCiphertextAllTheSame) {
  start_istio(true);
  path_->set_filter("not host 127.0.0.6");
  on_interface(true, kSynFlag);
  on_interface(true, kAckFlag, kClientHello);
  on_interface(false, kAckFlag, std::string(300, 's'));
  on_interface(true, kAckFlag, kRecord);
  on_loopback(true, kSynFlag);
  on_loopback(true, kAckFlag, "GET / HTTP/1.1\r\n\r\n");
  wait_out();
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(left_out(ownership::Rule::kMeshCovered), 4U);
  EXPECT_EQ(left_out(ownership::Rule::kLoopback), 2U);
}

}  // namespace
}  // namespace sidetap
