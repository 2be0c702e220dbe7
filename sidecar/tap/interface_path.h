// Builds the path of one interface's packets, from capture to delivery, from the options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "shared/telemetry/metrics.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/options/options.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/path/receivers.h"
#include "sidecar/tap/exclusion.h"
#include "sidecar/tap/pod_addresses.h"

namespace sidetap {

/// "NAMESPACE/POD", as far as it is known.
std::string pod_description(const RunOptions& options);

/// Who receives packets, and which packets each gets.
Receivers receivers_of(const RunOptions& options);

/// Without what is called back. Reads the range of ephemeral ports. `backlog`: bytes.
CaptureLoopConfig capture_config(const RunOptions& options, const PodAddresses& addresses,
                                 const std::string& interface, std::size_t backlog);

/// All members but `options` must outlive the deliveries.
struct DeliveryParts {
  boost::asio::any_io_executor executor;
  const RunOptions& options;
  const PodAddresses& addresses;
  Exclusion& exclusion;
  telemetry::MetricsRegistry& metrics;
};

/// For those whom the options name; its captures belong to `stage`.
std::unique_ptr<Delivery> make_delivery(const DeliveryParts& parts, CaptureLoop& loop,
                                        std::uint64_t stage);
/// For clients that connect to the tap. It outlasts every change of the others, so that clients
/// stay, and nobody else gets its port. Null if the options name no address to listen on.
std::unique_ptr<Delivery> make_clients(const DeliveryParts& parts, CaptureLoop& loop);

}  // namespace sidetap
