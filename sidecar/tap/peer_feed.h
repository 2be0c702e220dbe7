// Passes the registry's peers to every packet path, its settings to the tap, and the state of the
// packet paths to the registry.
#pragma once

#include <functional>
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
  bool forwarding = false;  ///< Open, and its packets reach the sensors.
};

/// What to report to the registry about this tap. Peers may rely on an address only while packets
/// captured on its interface are forwarded. Packets for a pod address that no interface holds may
/// arrive on any interface, so all must forward. An address on an interface that is not captured
/// does not belong to the tap.
registry::Own own_addresses(const std::vector<net::Interface>& interfaces,
                            const std::vector<CapturedInterface>& captured,
                            const std::vector<net::IpAddress>& pod_ips);

/// Use it on the control thread.
class PeerFeed {
 public:
  /// `options.address` must be set. `ownership`, `loops`, `exclusion` and `metrics` must outlive
  /// this object. `on_settings` is called when other settings of the registry are in force. `token`
  /// is asked at each connection, in place of the options' file; null: the file counts.
  PeerFeed(boost::asio::any_io_executor executor, const RegistryOptions& options,
           const OwnershipOptions& ownership, std::vector<CaptureLoop*> loops, Exclusion& exclusion,
           telemetry::MetricsRegistry& metrics,
           std::function<void(const registry::Settings&)> on_settings,
           std::function<Result<std::string>()> token);

  /// Error: the CA is not a PEM certificate.
  Result<void> start() { return client_.start(); }
  /// Call it before start() and at each change.
  void set_own(registry::Own own) { client_.set_own(std::move(own)); }
  void report(const registry::Report& report) { client_.report(report); }
  /// PEM: the CAs of the registry now.
  std::string trusted() const { return client_.trusted(); }
  /// Leaves the registry, and waits at most a few seconds until the peers know. They rely on this
  /// tap until it returns.
  boost::asio::awaitable<void> leave();
  boost::asio::awaitable<void> stop() { return client_.stop(); }

 private:
  void adopt(const registry::Peers& peers);

  const OwnershipOptions& ownership_;
  std::vector<CaptureLoop*> loops_;
  registry::Client client_;
};

}  // namespace sidetap
