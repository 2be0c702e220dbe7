// Opens an interface in the best way for this kernel and interface, reopens it when it reappears,
// and queries its state.
#pragma once

#include <memory>
#include <string>

#include "sidecar/capture/interface_now.h"
#include "sidecar/capture/packet_source.h"

namespace sidetap::capture {

/// The system's side of one interface; tests have their own. For one thread at a time.
class Device {
 public:
  virtual ~Device() = default;

  /// Opens our own ring if the kernel reports what it left for the network card to do
  /// (ring_source.h), otherwise libpcap. Only one source at a time. Errors name the interface and,
  /// if the right is missing, NET_RAW.
  ///
  /// Needs CAP_NET_RAW the first time. After that, it reopens the interface without any capability,
  /// with sockets that it has kept, as long as the interface is of the same kind.
  virtual Result<std::unique_ptr<PacketSource>> open(const DeviceConfig& config) = 0;
  /// The same as InterfaceSight::look().
  virtual InterfaceNow look(const std::string& name, unsigned expected) = 0;
};

std::unique_ptr<Device> make_system_device();

}  // namespace sidetap::capture
