// An interface that is open, and has no packets.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <sys/eventfd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/capture/device.h"
#include "sidecar/capture/packet_source.h"

namespace sidetap {

/// Has no packets.
class QuietSource final : public capture::PacketSource {
 public:
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return event_.get(); }
  Result<std::size_t> read(capture::PacketHandler&, std::size_t) override { return 0; }
  Result<void> set_filter(std::span<const capture::BpfInstruction> program) override {
    last_program = program.size();
    return {};
  }
  static inline std::size_t last_program = 0;
  capture::SourceCounts counts() override { return {}; }
  int bound_index() const override { return 2; }

 private:
  net::UniqueFd event_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

class QuietDevice final : public capture::Device {
 public:
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    return std::unique_ptr<capture::PacketSource>(std::make_unique<QuietSource>());
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 2, .up = true, .carrier = true};
  }
};

}  // namespace sidetap
