#include "sidecar/collector/tap_source.h"

#include <utility>
#include <vector>

namespace sidetap::collector {
namespace {

class TapSource final : public capture::PacketSource {
 public:
  explicit TapSource(std::shared_ptr<TapReceiver> receiver) : receiver_(std::move(receiver)) {}

  capture::LinkType link_type() const override { return capture::LinkType::kEthernet; }
  int descriptor() const override { return receiver_->descriptor(); }
  Result<std::size_t> read(capture::PacketHandler& handler, std::size_t most) override {
    return receiver_->read(handler, most);
  }
  Result<void> set_filter(std::span<const capture::BpfInstruction> program) override {
    receiver_->set_filter({program.begin(), program.end()});
    return {};
  }
  capture::SourceCounts counts() override {
    return {.accepted = receiver_->delivered() + receiver_->missing(),
            .dropped = receiver_->missing(),
            .dropped_by_interface = 0};
  }
  int bound_index() const override { return 0; }

 private:
  std::shared_ptr<TapReceiver> receiver_;
};

class TapDevice final : public capture::Device {
 public:
  explicit TapDevice(std::shared_ptr<TapReceiver> receiver) : receiver_(std::move(receiver)) {}

  Result<std::unique_ptr<capture::PacketSource>> open(
      const capture::DeviceConfig& config) override {
    receiver_->set_filter({config.filter.begin(), config.filter.end()});
    return std::unique_ptr<capture::PacketSource>(std::make_unique<TapSource>(receiver_));
  }
  capture::InterfaceNow look(const std::string&, unsigned) override {
    return {.index = 1, .up = true, .carrier = true};
  }

 private:
  std::shared_ptr<TapReceiver> receiver_;
};

}  // namespace

std::unique_ptr<capture::Device> make_tap_device(std::shared_ptr<TapReceiver> receiver) {
  return std::make_unique<TapDevice>(std::move(receiver));
}

}  // namespace sidetap::collector
