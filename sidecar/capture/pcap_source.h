// Captures from a device with libpcap, never in promiscuous mode.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sidecar/capture/packet_source.h"

struct pcap;  // libpcap's pcap_t

namespace sidetap::capture {

struct PcapCloser {
  void operator()(pcap* handle) const;
};
using PcapHandle = std::unique_ptr<pcap, PcapCloser>;

/// The handle of a source that has ended. Bound to another interface of the same kind, it captures
/// again without any capability. For one thread.
struct FormerDevice {
  PcapHandle handle;           ///< Null: there is none.
  unsigned hardware_type = 0;  ///< ARPHRD_* of the interface that it was opened for.
};

/// Rebinds the handle in `former` if possible, otherwise opens the device. The handle returns to
/// `former` when the source ends. Errors name the device and, if the right is missing, NET_RAW.
Result<std::unique_ptr<PacketSource>> open_pcap_device(const DeviceConfig& config,
                                                       std::shared_ptr<FormerDevice> former);

/// The link layer for a number of libpcap or of a file; nothing if the parser does not support it.
std::optional<LinkType> known_link_type(int datalink);

/// Extends the system's 32-bit counters, which wrap, to 64 bits by adding their differences.
class WideCounter {
 public:
  std::uint64_t update(std::uint32_t now) {
    total_ += static_cast<std::uint32_t>(now - last_);
    last_ = now;
    return total_;
  }
  /// Counts from the last reading on.
  void restart() { total_ = 0; }

 private:
  std::uint64_t total_ = 0;
  std::uint32_t last_ = 0;
};

}  // namespace sidetap::capture
