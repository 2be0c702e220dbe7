// Packets by libpcap: from a device, never promiscuous, or from a capture file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sidecar/capture/packet_source.h"

namespace sidetap::capture {

/// Errors name the device and, where a right is missing, NET_RAW.
Result<std::unique_ptr<PacketSource>> open_pcap_device(const DeviceConfig& config);

/// pcap and pcapng. Errors: cannot be read, or a link layer that the parser does not know.
Result<std::unique_ptr<PacketSource>> open_file(const std::string& path);

/// Turns the system's 32-bit counters, which wrap, into 64-bit ones by their differences.
class WideCounter {
 public:
  std::uint64_t update(std::uint32_t now) {
    total_ += static_cast<std::uint32_t>(now - last_);
    last_ = now;
    return total_;
  }

 private:
  std::uint64_t total_ = 0;
  std::uint32_t last_ = 0;
};

}  // namespace sidetap::capture
