// Keeps a ServiceTable at what the API server says of Services and their EndpointSlices.
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
  /// So long without a watch that stands, and what is known counts no more.
  std::chrono::milliseconds grace{30'000};
  std::chrono::milliseconds first_wait{500};  ///< The least of ReflectorConfig::wait.
  ServiceLimits limits{};
};

/// One strand.
class ServiceWatch {
 public:
  /// `changed` is called whenever the table may have something to publish.
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
  /// Nothing of it is known any more.
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
