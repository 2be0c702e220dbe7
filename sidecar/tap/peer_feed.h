// Keeps every packet path at what the registry says about the peers, and the registry at what the
// packet paths do.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/net/interfaces.h"
#include "sidecar/options/ownership_options.h"
#include "sidecar/options/registry_options.h"
#include "sidecar/path/capture_loop.h"
#include "sidecar/registry/client.h"
#include "sidecar/tap/exclusion.h"

namespace sidetap {

struct CapturedInterface {
  std::string name;
  bool forwarding = false;  ///< It is open, and its packets reach the sensors.
};

/// What the registry is to know of this tap. Peers may count on an address only while what is
/// captured where it arrives is forwarded. A pod's address that no interface holds may arrive at
/// any of them, so that all must forward; one that an interface holds that is not captured is none
/// of the tap's.
registry::Own own_addresses(const std::vector<net::Interface>& interfaces,
                            const std::vector<CapturedInterface>& captured,
                            const std::vector<net::IpAddress>& pod_ips);

/// Everything on the control thread.
class PeerFeed {
 public:
  /// `options.address` is set. `loops`, `exclusion` and `metrics` outlive this object, and so does
  /// `ownership`.
  PeerFeed(boost::asio::any_io_executor executor, const RegistryOptions& options,
           const OwnershipOptions& ownership, std::vector<CaptureLoop*> loops, Exclusion& exclusion,
           telemetry::MetricsRegistry& metrics);

  /// Error: the CA is no PEM certificate.
  Result<void> start() { return client_.start(); }
  /// To be called whenever that changes, and before start().
  void set_own(registry::Own own) { client_.set_own(std::move(own)); }
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
