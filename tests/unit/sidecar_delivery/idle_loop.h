// A capture loop without packets.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <sys/eventfd.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Has no packets.
class IdleSource final : public capture::PacketSource {
 public:
  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return event_.get(); }
  Result<std::size_t> read(capture::PacketHandler&, std::size_t) override { return 0; }
  Result<void> set_filter(std::span<const capture::BpfInstruction>) override { return {}; }
  capture::SourceCounts counts() override { return {}; }
  int bound_index() const override { return 2; }

 private:
  net::UniqueFd event_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

class IdleDevice final : public capture::Device {
 public:
  Result<std::unique_ptr<capture::PacketSource>> open(const capture::DeviceConfig&) override {
    return std::unique_ptr<capture::PacketSource>(std::make_unique<IdleSource>());
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 2, .up = true, .carrier = true};
  }
};

/// The loop does not run, so that it does at once what it is asked for.
inline std::unique_ptr<CaptureLoop> make_idle_loop() {
  CaptureLoopConfig config;
  config.interface = "eth0";
  return std::make_unique<CaptureLoop>(std::move(config), std::make_unique<IdleDevice>(),
                                       std::make_unique<ownership::NoListeningSockets>());
}

}  // namespace sidetap
