// Packets of a device by libpcap, never promiscuous.
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

/// What is left of a device's source that has ended: bound to another interface of the same kind it
/// captures again, for which no capability is needed. One thread.
struct FormerDevice {
  PcapHandle handle;           ///< Null: there is none.
  unsigned hardware_type = 0;  ///< ARPHRD_* of the interface that it was opened for.
};

/// A device for `former` is bound anew where that is possible, and opened where it is not; what is
/// opened ends there again. Errors name the device and, where a right is missing, NET_RAW.
Result<std::unique_ptr<PacketSource>> open_pcap_device(const DeviceConfig& config,
                                                       std::shared_ptr<FormerDevice> former);

/// The link layer of libpcap's number, or of a file's; nothing: the parser does not know it.
std::optional<LinkType> known_link_type(int datalink);

/// Turns the system's 32-bit counters, which wrap, into 64-bit ones by their differences.
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
