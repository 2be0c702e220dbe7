#include <gtest/gtest.h>

#include "sidecar/path/capture_loop.h"
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

TEST(CaptureLoop, ADecisionSeesMoreOfAPacketThanTheSensorMayWant) {
  for (const auto& [asked, captured] : {std::pair{64U, 256U}, {256U, 256U}, {9000U, 9000U}}) {
    CaptureLoopConfig config = pod_one();
    config.snaplen = asked;
    // What is to be split or completed is captured whole.
    config.pipeline.fidelity = {.checksums = false, .segment = fidelity::SegmentMode::kOff};
    EXPECT_EQ(run_bpf(program_at_open(config),
                      packet().from("8.8.8.8").to("10.0.0.1").udp(1, 2).ethernet(), kPacketHost),
              captured);
  }
}

}  // namespace
}  // namespace sidetap
