// Delivers packets to VXLAN receivers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "shared/net/ip_address.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/delivery/vni_table.h"
#include "sidecar/forwarding/tap_identities.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap {

/// Source ports per receiver. They spread the load over as many of the receiver's queues.
inline constexpr std::size_t kVxlanLanes = 8;

/// Where packets' namespaces come from, for VxlanOptions::vni, and where it is told which VNI each
/// has.
struct PacketNamespaces {
  std::string own{};  ///< Of this pod; empty: unknown.
  /// Of a collector, whose packets are not its own. Null: all are of this pod.
  std::shared_ptr<const forwarding::TapIdentities> of_taps{};
  std::shared_ptr<VniTable> table{};  ///< Null: it is not told.
};

/// When a receiver's name is looked up again.
struct LookUpTimes {
  std::chrono::milliseconds settled{30'000};  ///< While packets are sent to it.
  std::chrono::milliseconds failed{2'000};
  std::chrono::milliseconds hurried{200};  ///< Instead of `failed`, once dial_soon() was called.
};

class VxlanDelivery final : public Delivery {
 public:
  /// The same as session::SessionsConfig::is_own_address.
  using IsOwnAddress = std::function<bool(const net::IpAddress&)>;

  /// `loop` and `metrics` must outlive this object; `metrics` may be null.
  VxlanDelivery(boost::asio::any_io_executor executor, VxlanOptions options,
                PacketNamespaces namespaces, IsOwnAddress is_own_address, CaptureLoop& loop,
                std::uint64_t stage, Exclude exclude, telemetry::MetricsRegistry* metrics,
                LookUpTimes times = {});
  ~VxlanDelivery() override;

  /// Never fails: a receiver that cannot be resolved yet is looked up again.
  Result<void> start() override;
  void dial_soon() override;
  boost::asio::awaitable<void> stop() override;
  /// The same as session::Sessions::forwarding().
  bool forwarding() const override;
  /// A receiver does not answer: "capturing" means that packets are sent to it.
  std::vector<registry::SensorReport> sensors() const override;
  void on_forwarding_changed(std::function<void()> callback) override;
  void forget_connections() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
