// Opens an interface by the best way that this kernel and this interface have, as often as it comes
// back, and looks at how it is.
#pragma once

#include <memory>
#include <string>

#include "sidecar/capture/interface_now.h"
#include "sidecar/capture/packet_source.h"

namespace sidetap::capture {

/// One thread at a time. What the system tells and gives, for one interface; tests have their own.
class Device {
 public:
  virtual ~Device() = default;

  /// The ring of our own where the kernel says what it left for the network card to do
  /// (ring_source.h), else libpcap. Only one source at a time. Errors name the interface and, where
  /// a right is missing, NET_RAW.
  ///
  /// Needs CAP_NET_RAW the first time. After that it opens the interface again without any
  /// capability, by sockets that it has kept, as long as the interface is of the same kind.
  virtual Result<std::unique_ptr<PacketSource>> open(const DeviceConfig& config) = 0;
  /// As InterfaceSight::look().
  virtual InterfaceNow look(const std::string& name, unsigned expected) = 0;
};

std::unique_ptr<Device> make_system_device();

}  // namespace sidetap::capture
