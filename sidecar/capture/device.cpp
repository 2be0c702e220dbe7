#include "sidecar/capture/device.h"

#include "sidecar/capture/interface_sight.h"
#include "sidecar/capture/link_facts.h"
#include "sidecar/capture/pcap_source.h"
#include "sidecar/capture/ring_source.h"
#include "sidecar/capture/spare_sockets.h"

namespace sidetap::capture {
namespace {

// As many as a source takes, for the case that one of those that come back cannot be used again.
constexpr std::size_t kSpareSockets = 2;

class SystemDevice final : public Device {
 public:
  Result<std::unique_ptr<PacketSource>> open(const DeviceConfig& config) override {
    if (config.method == CaptureMethod::kLibpcap) return open_pcap_device(config, former_);
    const auto facts = read_link_facts(config.interface);
    // libpcap tells better what is wrong with an interface that does not exist.
    if (!facts) return open_pcap_device(config, former_);
    if (config.method == CaptureMethod::kAuto && !ring_is_right_for(*facts))
      return open_pcap_device(config, former_);
    auto source = open_ring(config, *facts, spares_);
    if (source) spares_->reserve(kSpareSockets);
    return source;
  }

  InterfaceNow look(const std::string& name, unsigned expected) override {
    // All of them, to libpcap: no link of its own, and always there.
    if (name == "any") return {.index = ~0U, .up = true, .carrier = true};
    return sight_.look(name, expected);
  }

 private:
  std::shared_ptr<SpareSockets> spares_ = std::make_shared<SpareSockets>();
  std::shared_ptr<FormerDevice> former_ = std::make_shared<FormerDevice>();
  InterfaceSight sight_;
};

}  // namespace

std::unique_ptr<Device> make_system_device() { return std::make_unique<SystemDevice>(); }

}  // namespace sidetap::capture
