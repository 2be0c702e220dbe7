// Builds the path of one interface's packets, from capture to delivery, from the options.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "shared/telemetry/metrics.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/options/options.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/tap/exclusion.h"
#include "sidecar/tap/pod_addresses.h"

namespace sidetap {

/// "NAMESPACE/POD", as far as it is known.
std::string pod_description(const RunOptions& options);

/// Without what is called back. Reads the range of ephemeral ports. `backlog`: bytes.
CaptureLoopConfig capture_config(const RunOptions& options, const PodAddresses& addresses,
                                 const std::string& interface, std::size_t backlog);

/// All members must outlive the deliveries.
struct DeliveryParts {
  boost::asio::any_io_executor executor;
  const RunOptions& options;
  const PodAddresses& addresses;
  Exclusion& exclusion;
  telemetry::MetricsRegistry& metrics;
};

/// `first`: whether this is the first interface, which clients that connect to the tap get.
std::unique_ptr<Delivery> make_delivery(const DeliveryParts& parts, CaptureLoop& loop, bool first);

}  // namespace sidetap
