#include <gtest/gtest.h>

#include "sidecar/path/capture_loop.h"
#include "sidecar/path/filter_facts.h"
#include "tests/unit/sidecar_packet/bpf_machine.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

/// There, and refused: keeps the program that it was to be opened with.
class RefusingDevice final : public capture::Device {
 public:
  explicit RefusingDevice(std::vector<capture::BpfInstruction>& program) : program_(program) {}
  Result<std::unique_ptr<capture::PacketSource>> open(
      const capture::DeviceConfig& device) override {
    EXPECT_EQ(device.filter_link, capture::LinkType::kEthernet);
    program_.assign(device.filter.begin(), device.filter.end());
    return Error{"it is not to be captured on"};
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 1, .up = true, .carrier = true};
  }

 private:
  std::vector<capture::BpfInstruction>& program_;
};

/// The program that the interface is opened with.
std::vector<capture::BpfInstruction> program_at_open(CaptureLoopConfig config) {
  std::vector<capture::BpfInstruction> program;
  const CaptureLoop loop(std::move(config), std::make_unique<RefusingDevice>(program),
                         std::make_unique<ownership::NoListeningSockets>());
  return program;
}

CaptureLoopConfig pod_one() {
  CaptureLoopConfig config;
  config.engine.self.addresses = {ip("10.0.0.1")};
  return config;
}

TEST(CaptureLoop, TheFilterHoldsFromTheFirstPacketOn) {
  const auto program = program_at_open(pod_one());
  ASSERT_FALSE(program.empty());
  EXPECT_EQ(run_bpf(program, packet().from("10.0.0.7").to("10.0.0.8").udp(1, 2).ethernet(),
                    kPacketOtherHost),
            0U);
}

TEST(CaptureLoop, TheOperatorsFilterHoldsFromTheFirstPacketOn) {
  CaptureLoopConfig config = pod_one();
  config.pipeline.narrowing.filter = "not port 53";
  const auto program = program_at_open(config);
  const auto asked = [](std::uint16_t port) {
    return packet().from("8.8.8.8").to("10.0.0.1").udp(1, port).ethernet();
  };
  EXPECT_EQ(run_bpf(program, asked(53), kPacketHost), 0U);
  EXPECT_NE(run_bpf(program, asked(54), kPacketHost), 0U);
}

TEST(CaptureLoop, TheOperatorsFilterHoldsThoughTheTapsOwnConnectionsDoNotFit) {
  FilterFacts facts(ownership::Self(), {}, "not port 53", 1'000);
  std::vector<capture::OwnEndpoint> many;
  for (std::uint16_t port = 1; port <= 1'000; ++port)
    many.push_back({capture::IpProtocol::kTcp, ip("10.0.0.1"), port, ip("10.0.0.2"), 2003});
  ASSERT_TRUE(facts.set_own("sensor", many));
  EXPECT_FALSE(facts.build(capture::LinkType::kEthernet));
  const auto program = facts.build_expression(capture::LinkType::kEthernet);
  ASSERT_TRUE(program);
  const Bytes asked = packet().from("8.8.8.8").to("10.0.0.1").udp(1, 53).ethernet();
  EXPECT_EQ(run_bpf(*program, asked, kPacketHost), 0U);
  const Bytes other = packet().from("8.8.8.8").to("10.0.0.1").udp(1, 54).ethernet();
  EXPECT_EQ(run_bpf(*program, other, kPacketHost), 1'000U);
}

TEST(CaptureLoop, OfWhatOtherTapsForwardedOnlyTheOperatorsFilterLeavesSomethingOut) {
  CaptureLoopConfig config;
  config.pipeline.collected = true;
  const auto between_others = [](std::uint16_t port) {
    return packet().from("10.9.0.7").to("10.9.0.8").udp(1, port).ethernet();
  };
  const auto everything = program_at_open(config);
  EXPECT_NE(run_bpf(everything, between_others(53), kPacketOtherHost), 0U);
  config.pipeline.narrowing.filter = "not port 53";
  const auto program = program_at_open(config);
  EXPECT_EQ(run_bpf(program, between_others(53), kPacketHost), 0U);
  EXPECT_NE(run_bpf(program, between_others(54), kPacketHost), 0U);
}

TEST(CaptureLoop, AFilterThatALinkLayerDoesNotKnowLeavesNothingOut) {
  FilterFacts facts(ownership::Self(), {}, "ether host 02:00:00:00:00:01", 1'000);
  const auto program = facts.build(capture::LinkType::kRawIp);
  ASSERT_TRUE(program);
  const Bytes other = packet().from("8.8.8.8").to("10.0.0.1").udp(1, 54).network();
  EXPECT_EQ(run_bpf(*program, other, kPacketHost), 1'000U);
  EXPECT_FALSE(facts.build_expression(capture::LinkType::kRawIp));
}

TEST(CaptureLoop, ADecisionSeesMoreOfAPacketThanTheSensorMayWant) {
  for (const auto& [asked, captured] : {std::pair{64U, 256U}, {256U, 256U}, {9000U, 9000U}}) {
    CaptureLoopConfig config = pod_one();
    config.pipeline.narrowing.snaplen = asked;
    // What is to be split or completed is captured whole.
    config.pipeline.fidelity = {.checksums = false, .segment = fidelity::SegmentMode::kOff};
    EXPECT_EQ(run_bpf(program_at_open(config),
                      packet().from("8.8.8.8").to("10.0.0.1").udp(1, 2).ethernet(), kPacketHost),
              captured);
  }
}

}  // namespace
}  // namespace sidetap
