#include "sidecar/path/source_slot.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap {
namespace {

/// A source of raw IP that notes how many instructions its filter has.
class RawIpSource final : public capture::PacketSource {
 public:
  explicit RawIpSource(std::size_t& instructions) : instructions_(instructions) {}
  capture::LinkType link_type() const override { return capture::LinkType::kRawIp; }
  int descriptor() const override { return -1; }
  Result<std::size_t> read(capture::PacketHandler&, std::size_t) override { return 0; }
  Result<void> set_filter(std::span<const capture::BpfInstruction> program) override {
    instructions_ = program.size();
    return {};
  }
  capture::SourceCounts counts() override { return {}; }
  int bound_index() const override { return 2; }

 private:
  std::size_t& instructions_;
};

class RawIpDevice final : public capture::Device {
 public:
  explicit RawIpDevice(std::size_t& instructions) : instructions_(instructions) {}
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    return std::unique_ptr<capture::PacketSource>(std::make_unique<RawIpSource>(instructions_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 2, .up = true, .carrier = true};
  }

 private:
  std::size_t& instructions_;
};

class NoHandler final : public capture::PacketHandler {
 public:
  void on_packet(const capture::CapturedPacket&) override {}
};

TEST(SourceSlot, AFilterForAnotherLinkLayerIsKeptFromTheOpenSource) {
  std::size_t instructions = 0;
  NoHandler handler;
  SourceSlot slot("eth0", {}, std::make_unique<RawIpDevice>(instructions));
  EXPECT_EQ(slot.look(handler), SourceSlot::Change::kOpened);
  const std::vector<capture::BpfInstruction> nothing = {{.code = 0x06, .k = 0}};
  slot.set_filter(nothing, capture::LinkType::kEthernet);
  EXPECT_EQ(instructions, 0U) << "it would read other bytes than it means";
  slot.set_filter(nothing, capture::LinkType::kRawIp);
  EXPECT_EQ(instructions, 1U);
}

}  // namespace
}  // namespace sidetap
