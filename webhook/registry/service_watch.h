// Keeps a ServiceTable up to date with the API server's Services and EndpointSlices.
#pragma once

#include <chrono>
#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/task_group.h"
#include "shared/kube/reflector.h"
#include "shared/telemetry/metrics.h"
#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {

struct ServiceWatchConfig {
  kube::Credentials credentials;
  /// After this time without a working watch, the table's contents are discarded.
  std::chrono::milliseconds grace{30'000};
  std::chrono::milliseconds first_wait{500};  ///< The least of ReflectorConfig::wait.
  ServiceLimits limits{};
};

/// Use it on one strand.
class ServiceWatch {
 public:
  /// Calls `changed` whenever the table may have something to publish.
  ServiceWatch(boost::asio::any_io_executor executor, ServiceWatchConfig config,
               telemetry::MetricsRegistry& metrics, std::function<void()> changed);

  void start();
  /// Ends the watches soon.
  void stop();

  ServiceTable& table() { return table_; }

 private:
  struct Resource {
    Resource(boost::asio::any_io_executor executor) : expiry(std::move(executor)) {}
    boost::asio::steady_timer expiry;
    bool standing = false, current = false, reported = false;
  };
  void follow(Resource& resource, kube::ReflectorConfig config, kube::ReflectorEvents events,
              const char* name);
  void rise(Resource& resource, const char* name);
  void fall(Resource& resource, const char* name, const std::string& reason);
  /// Discards what is known of the resource.
  void forget(Resource& resource, const char* name, const std::string& reason);
  void renew();

  boost::asio::any_io_executor executor_;
  const ServiceWatchConfig config_;
  telemetry::MetricsRegistry& metrics_;
  const std::function<void()> changed_;
  ServiceTable table_;
  Resource services_, slices_;
  async::TaskGroup tasks_;
  bool stopping_ = false;
};

}  // namespace sidetap::webhook::registry
