#include "sidecar/capture/device.h"

#include "sidecar/capture/link_facts.h"
#include "sidecar/capture/pcap_source.h"
#include "sidecar/capture/ring_source.h"

namespace sidetap::capture {

Result<std::unique_ptr<PacketSource>> open_device(const DeviceConfig& config) {
  if (config.method == CaptureMethod::kLibpcap) return open_pcap_device(config);
  auto facts = read_link_facts(config.interface);
  // libpcap tells better what is wrong with an interface that does not exist.
  if (!facts) return open_pcap_device(config);
  if (config.method == CaptureMethod::kRing || ring_is_right_for(*facts))
    return open_ring(config, *facts);
  return open_pcap_device(config);
}

}  // namespace sidetap::capture
