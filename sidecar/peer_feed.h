// Keeps every packet path at what the registry says about the peers, and the registry at what the
// packet paths do.
#pragma once

#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "sidecar/capture_loop.h"
#include "sidecar/ownership_options.h"
#include "sidecar/registry/client.h"
#include "sidecar/registry_options.h"

namespace sidetap {

/// Everything on the control thread.
class PeerFeed {
 public:
  /// `options.address` is set. `loops` and `metrics` outlive this object, and so does `ownership`.
  PeerFeed(boost::asio::any_io_executor executor, const RegistryOptions& options,
           const OwnershipOptions& ownership, std::vector<CaptureLoop*> loops,
           telemetry::MetricsRegistry& metrics);

  /// Error: the CA is no PEM certificate.
  Result<void> start() { return client_.start(); }
  void set_forwarding(bool forwarding) { client_.set_forwarding(forwarding); }
  /// Leaves the registry and waits until the peers know, for a few seconds at most: until it
  /// returns they count on this tap.
  boost::asio::awaitable<void> leave();
  boost::asio::awaitable<void> stop() { return client_.stop(); }

 private:
  void adopt(const registry::Peers& peers);

  const OwnershipOptions& ownership_;
  std::vector<CaptureLoop*> loops_;
  registry::Client client_;
};

}  // namespace sidetap
