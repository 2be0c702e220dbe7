// Follows the registry's stream of identities, for TapProof.
//
// GET /v1/identities/stream on the registry's port, with a bearer token of a service account that
// may get that path (deploy/docs/identity.md). One replica is asked: every tap is connected to
// every replica. The stream begins with the whole list. When the connection ends, the next one goes
// on where it stopped; if the replica does not know that position, with the whole list again. What
// was known stays in force meanwhile.
//
// What the registry sends is bounded: a line has at most 64 KiB, the list ProofBook::kMostHeld
// addresses, and 30 s without a byte end the connection. A line that is malformed ends it too, and
// the list is asked for anew.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/net/host_port.h"
#include "sidecar/collector/tap_proof.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::collector {

struct RegistryFeedConfig {
  net::HostPort registry{};
  /// The CA of the registry's certificate: PEM text, or a file of it, read at each connection.
  std::string ca{};
  std::string server_name{};  ///< Name in the certificate. Empty: the registry's host.
  std::string token_file{};   ///< Read at each connection. Empty: no token is sent.
  std::chrono::milliseconds timeout{10'000};  ///< For each step up to the answer's head.
  std::chrono::milliseconds silence{30'000};  ///< The registry gives a sign of life every 15 s.
  async::BackoffBounds backoff{std::chrono::milliseconds(500), std::chrono::milliseconds(15'000)};
};

/// Use it on the control thread.
class RegistryFeed {
 public:
  /// `proof` and `metrics` outlive the feed until stop() has returned; `metrics` may be null.
  RegistryFeed(boost::asio::any_io_executor executor, RegistryFeedConfig config, TapProof& proof,
               telemetry::MetricsRegistry* metrics);
  /// Call it after stop(), or when the executor no longer runs.
  ~RegistryFeed();
  RegistryFeed(const RegistryFeed&) = delete;
  RegistryFeed& operator=(const RegistryFeed&) = delete;

  void start();
  boost::asio::awaitable<void> stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::collector
