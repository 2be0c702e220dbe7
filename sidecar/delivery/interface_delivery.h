// Delivers packets into a network interface of this pod, where a sensor listens that takes frames
// (Suricata, Zeek).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "shared/net/unique_fd.h"
#include "shared/result.h"
#include "shared/telemetry/metrics.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Label "interface": that of --output-interface.
inline const telemetry::MetricSpec kOutputOutagesMetric{
    "sidetap_output_interface_outages_total", telemetry::MetricType::kCounter,
    "Times that the interface to write into was missing, was down, or had no carrier"};

class InterfaceDelivery final : public Delivery {
 public:
  /// `socket`: as make_interface_port() takes it, or why there is none. `usual_mtu`: of the
  /// interfaces whose packets come, bytes; 0: unknown. `loop` and `metrics` must outlive this
  /// object.
  InterfaceDelivery(boost::asio::any_io_executor executor, InterfaceOptions options,
                    Result<net::UniqueFd> socket, unsigned usual_mtu, CaptureLoop& loop,
                    std::uint64_t stage, telemetry::MetricsRegistry& metrics);
  ~InterfaceDelivery() override;

  /// Error: there is no socket. An interface that is not there is waited for.
  Result<void> start() override;
  boost::asio::awaitable<void> stop() override;
  /// Whether packets go into the interface.
  bool forwarding() const override;
  bool healthy() const override;
  std::vector<registry::SensorReport> sensors() const override { return {}; }
  void on_forwarding_changed(std::function<void()> callback) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
