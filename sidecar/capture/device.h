// Opens an interface by the best way that this kernel and this interface have.
#pragma once

#include <memory>

#include "sidecar/capture/packet_source.h"

namespace sidetap::capture {

/// The ring of our own where the kernel says what it left for the network card to do
/// (ring_source.h), else libpcap. Errors name the interface and, where a right is missing, NET_RAW.
Result<std::unique_ptr<PacketSource>> open_device(const DeviceConfig& config);

}  // namespace sidetap::capture
