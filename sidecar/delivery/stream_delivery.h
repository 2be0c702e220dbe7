// Delivers packets as capture streams over TCP (PCAP-over-IP): to readers that connect, and to
// receivers that are dialled. Each has a capture of its own and gets every packet.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "shared/async/backoff.h"
#include "shared/net/ip_address.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/forwarding/tap_identities.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap {

struct StreamParts {
  /// Of every stream, without the link layer, which the loop tells.
  forwarding::CaptureHeading heading{};
  std::shared_ptr<const forwarding::TapIdentities> identities{};  ///< Null: all is the heading's.
  /// A receiver in this pod is not dialled: what it gets would be captured again. Null: nothing is
  /// captured here.
  std::function<bool(const net::IpAddress&)> is_own_address{};
  Exclude exclude{};
  telemetry::MetricsRegistry* metrics = nullptr;  ///< May be null; outlives the delivery.
  async::BackoffBounds backoff{};
};

class StreamDelivery final : public Delivery {
 public:
  /// `loop` must outlive this object.
  StreamDelivery(boost::asio::any_io_executor executor, StreamOptions options, StreamParts parts,
                 CaptureLoop& loop, std::uint64_t stage);
  ~StreamDelivery() override;

  /// Error: the address cannot be listened on.
  Result<void> start() override;
  void dial_soon() override;
  boost::asio::awaitable<void> stop() override;
  /// Whether every receiver that is dialled gets packets; without any, whether a reader does.
  bool forwarding() const override;
  /// Readers that connect are one together, under the address that they connect to.
  std::vector<registry::SensorReport> sensors() const override;
  void on_forwarding_changed(std::function<void()> callback) override;
  void forget_connections() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
