// Builds the path of one interface's packets, from capture to delivery, from the options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "shared/telemetry/metrics.h"
#include "sidecar/capture/spare_sockets.h"
#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/vni_table.h"
#include "sidecar/forwarding/tap_identities.h"
#include "sidecar/options/options.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/path/leg_path.h"
#include "sidecar/path/receivers.h"
#include "sidecar/tap/pod_addresses.h"

namespace sidetap {

/// "NAMESPACE/POD", as far as it is known.
std::string pod_description(const RunOptions& options);

/// By which the pod ranks collectors in hash mode: its address or, where none is known, its name.
std::string rank_name(const RunOptions& options);

/// Who receives packets, and which packets each gets.
Receivers receivers_of(const RunOptions& options);

/// Those in force when the loop begins.
void set_receivers(Receivers receivers, CaptureLoopConfig& config);

/// Without what is called back. Reads the range of ephemeral ports. `backlog`: bytes.
CaptureLoopConfig capture_config(const RunOptions& options, const PodAddresses& addresses,
                                 const std::string& interface, std::size_t backlog);

/// The plaintext of the pod's mesh, to travel in the captures of the interface of `config`, which
/// capture_config() has made. Opens nothing. Null: --mesh is off.
std::shared_ptr<LegPath> make_legs(const RunOptions& options, const CaptureLoopConfig& config);

/// All members but `options` must outlive the deliveries.
struct DeliveryParts {
  boost::asio::any_io_executor executor;
  const RunOptions& options;
  const PodAddresses& addresses;
  Exclude exclude;
  telemetry::MetricsRegistry& metrics;
  /// One is taken for each delivery that writes packets into an interface.
  capture::SpareSockets& packet_sockets;
  std::shared_ptr<VniTable> vnis;
  /// Of a collector, for outputs that name pods; null: all packets are this pod's.
  std::shared_ptr<const forwarding::TapIdentities> identities{};
  /// As session::SessionsConfig::registry_ca.
  std::function<std::string()> registry_ca{};
};

/// For those whom the options name; its captures belong to `stage`.
std::unique_ptr<Delivery> make_delivery(const DeliveryParts& parts, CaptureLoop& loop,
                                        std::uint64_t stage);
/// For clients that connect to the tap. It outlasts every change of the others, so that clients
/// stay, and nobody else gets its port. Null if the options name no address to listen on.
std::unique_ptr<Delivery> make_clients(const DeliveryParts& parts, CaptureLoop& loop);

}  // namespace sidetap
