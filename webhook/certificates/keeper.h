// Manages the webhook's certificates. One Secret is the source of truth for all replicas, and the
// caBundle of the webhook's own configuration follows it. Collectors can have a Secret of their own
// with a leaf of the same authority, so that taps trust them as they trust the registry.
//
// There is no leader. Every replica checks the Secret and tries a step that is due. The Secret's
// resourceVersion lets one of them succeed, and the others read what it wrote.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/kube/client.h"
#include "shared/telemetry/metrics.h"
#include "webhook/certificates/plan.h"

namespace sidetap::certificates {

struct KeeperConfig {
  std::string name_space;             ///< Of the Secret and the Services.
  std::string secret;                 ///< Created if missing.
  std::vector<std::string> services;  ///< The leaf is valid for their names.
  std::string
      webhook_configuration;  ///< The MutatingWebhookConfiguration whose caBundle is managed.
  Policy policy = {};
  std::chrono::milliseconds period{15'000};  ///< Between two checks.
  /// After a check that failed.
  async::BackoffBounds backoff{std::chrono::milliseconds(1'000), std::chrono::milliseconds(60'000)};
  /// Created if missing. It never holds the authority's key. Empty: there are no collectors.
  std::string collector_secret = {};
  /// The collectors' leaf is valid for their names, and for names of pods below them.
  std::vector<std::string> collector_services = {};
};

/// For each Service: NAME.NAMESPACE.svc, NAME.NAMESPACE.svc.cluster.local, NAME.NAMESPACE and NAME.
std::vector<std::string> service_names(const std::vector<std::string>& services,
                                       const std::string& name_space);
/// The same, and *.NAME.NAMESPACE.svc, which are pods of headless Services.
std::vector<std::string> collector_names(const std::vector<std::string>& services,
                                         const std::string& name_space);

/// Use it on one strand, except for members that are marked "any thread".
class Keeper {
 public:
  /// `serve` receives every state that was read or written, on the strand, before the bundle is
  /// checked. It must start to serve the leaf.
  Keeper(kube::Client client, KeeperConfig config, std::function<void(const State&)> serve,
         std::function<TimePoint()> now = Clock::now);

  /// Checks the objects and performs the steps that are due. Returns when the next step is due.
  /// Resolves conflicts with other replicas itself.
  boost::asio::awaitable<Result<TimePoint>> reconcile();
  /// Reconciles until cancelled: every period, when a step is due, and after failures with growing
  /// pauses.
  boost::asio::awaitable<void> run();

  /// Whether the API servers have received a bundle that matches the served certificate. Any
  /// thread.
  bool published() const { return published_; }
  /// Any thread.
  void expose(telemetry::MetricsRegistry& metrics) const;

 private:
  std::string path_of(const std::string& secret) const;
  boost::asio::awaitable<Result<TimePoint>> try_reconcile();
  /// The Secret, or a Response with status 404. Anything else is an Error.
  boost::asio::awaitable<Result<kube::Response>> read_secret(const std::string& secret);
  /// Writes what `step` has made of the Secret that was `read`. Succeeds, too, if somebody else was
  /// faster: read it again.
  boost::asio::awaitable<Result<void>> store(const std::string& secret, const kube::Response& read,
                                             nlohmann::json object, std::string_view step);
  boost::asio::awaitable<Result<kube::Response>> write_secret(const std::string& secret, bool there,
                                                              nlohmann::json object);
  Error unwritten(const std::string& secret, bool there, const kube::Response& answer) const;
  /// Logs and counts a certificate outside its validity period.
  void report(const Plan& planned);
  boost::asio::awaitable<Result<State>> keep_secret(TimePoint& due);
  /// Brings `due` forward if the collectors' leaf is due before.
  boost::asio::awaitable<Result<void>> keep_collector(const State& state, TimePoint& due);
  boost::asio::awaitable<Result<void>> keep_bundle(const State& state);

  kube::Client client_;
  KeeperConfig config_;
  std::vector<std::string> names_;
  std::vector<std::string> collector_names_;
  std::function<void(const State&)> serve_;
  std::function<TimePoint()> now_;
  std::atomic<bool> published_{false};
  std::atomic<std::uint64_t> steps_{0};
  std::atomic<std::uint64_t> bundles_{0};
  std::atomic<std::uint64_t> conflicts_{0};
  std::atomic<std::uint64_t> out_of_dates_{0};
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace sidetap::certificates
