// Where the benchmarks of the packet's way forward to: packets are packed as for a sensor, and that
// is the end of them.
#pragma once

#include <memory>

#include "shared/rpcap/udpstr_packer.h"
#include "sidecar/forwarding/forwarder.h"

namespace sidetap {

class Nowhere final : public forwarding::Output {
 public:
  void add(const forwarding::OutgoingPacket& packet) override {
    packer_.add(packet.header, packet.head, packet.body, [this] { packer_.clear(); });
  }
  void flush() override { packer_.clear(); }

 private:
  rpcap::UdpstrPacker packer_{1472, 64 * 1024};
};

inline std::shared_ptr<forwarding::Forwarder> to_nowhere() {
  return std::make_shared<forwarding::Forwarder>(
      std::make_unique<Nowhere>(), forwarding::SensorFilter{}, rpcap::Sampling{}, 262'144);
}

}  // namespace sidetap
