// Packets to receivers of VXLAN.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "shared/net/ip_address.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap {

/// Source ports of a receiver: so many spread its load over as many of its queues.
inline constexpr std::size_t kVxlanLanes = 8;

class VxlanDelivery final : public Delivery {
 public:
  /// As session::SessionsConfig has it.
  using IsOwnAddress = std::function<bool(const net::IpAddress&)>;

  /// `loop` and `metrics` outlive this object; `metrics` may be null.
  VxlanDelivery(boost::asio::any_io_executor executor, VxlanOptions options,
                IsOwnAddress is_own_address, CaptureLoop& loop, Exclude exclude,
                telemetry::MetricsRegistry* metrics);
  ~VxlanDelivery() override;

  /// No error: a receiver that is not there yet is looked for.
  Result<void> start() override;
  boost::asio::awaitable<void> stop() override;
  /// As session::Sessions::forwarding().
  bool forwarding() const override;
  void on_forwarding_changed(std::function<void()> callback) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
