// Keeps the webhook's certificates by itself: one Secret is the only truth for all replicas, and
// the caBundle of the webhook's own configuration follows it.
//
// No leader: every replica looks, and whoever sees a step to be done tries it; the Secret's
// resourceVersion lets one of them win, and the others read what it wrote.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/kube/client.h"
#include "shared/telemetry/metrics.h"
#include "webhook/certificates/plan.h"

namespace sidetap::certificates {

struct KeeperConfig {
  std::string name_space;             ///< Of the Secret and the Service.
  std::string secret;                 ///< Made when missing.
  std::vector<std::string> services;  ///< The leaf is valid for their names.
  std::string webhook_configuration;  ///< The MutatingWebhookConfiguration whose caBundle is kept.
  Policy policy = {};
  std::chrono::milliseconds period{15'000};  ///< Between two looks.
  /// After a look that failed.
  async::BackoffBounds backoff{std::chrono::milliseconds(1'000), std::chrono::milliseconds(60'000)};
};

/// Of each: NAME.NAMESPACE.svc, NAME.NAMESPACE.svc.cluster.local, NAME.NAMESPACE and NAME.
std::vector<std::string> service_names(const std::vector<std::string>& services,
                                       const std::string& name_space);

/// One strand; what says so may be asked from any thread.
class Keeper {
 public:
  /// `serve` gets every state that was read or written, on the strand, before the bundle is looked
  /// at: serve its leaf.
  Keeper(kube::Client client, KeeperConfig config, std::function<void(const State&)> serve,
         std::function<TimePoint()> now = Clock::now);

  /// Looks at both objects and does what is to be done. The time at which the next step is due.
  /// Conflicts with other replicas are settled inside.
  boost::asio::awaitable<Result<TimePoint>> reconcile();
  /// Reconciles for ever: every period, when a step is due, and after failures with growing pauses.
  /// Ends by cancellation.
  boost::asio::awaitable<void> run();

  /// The API servers have had a bundle that fits what is served. Any thread.
  bool published() const { return published_; }
  /// Any thread.
  void expose(telemetry::MetricsRegistry& metrics) const;

 private:
  std::string secrets_path() const;
  boost::asio::awaitable<Result<TimePoint>> try_reconcile();
  boost::asio::awaitable<Result<kube::Response>> write_secret(bool there, nlohmann::json object);
  Error unwritten(bool there, const kube::Response& answer) const;
  /// Logs and counts what is wrong with the dates of a certificate.
  void report(const Plan& planned);
  boost::asio::awaitable<Result<State>> keep_secret(TimePoint& due);
  boost::asio::awaitable<Result<void>> keep_bundle(const State& state);

  kube::Client client_;
  KeeperConfig config_;
  std::vector<std::string> names_;
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
