// Keeps a ServiceTable up to date with the API server's Services, EndpointSlices and Nodes.
#pragma once

#include <chrono>
#include <functional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/task_group.h"
#include "shared/kube/reflector.h"
#include "shared/kube/standing.h"
#include "shared/telemetry/metrics.h"
#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {

struct ServiceWatchConfig {
  kube::Credentials credentials;
  /// After this time without a working watch, what the table knows of the resource is discarded.
  std::chrono::milliseconds grace{30'000};
  std::chrono::milliseconds first_wait{500};  ///< The least of ReflectorConfig::wait.
  ServiceLimits limits{};
  /// Whether to watch Nodes. Without them, or without the right to watch them, everything else is
  /// published.
  bool nodes = true;
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
    Resource(const char* the_name, boost::asio::any_io_executor executor)
        : name(the_name), expiry(std::move(executor)) {}
    const char* const name;  // as in paths, logs and metrics
    boost::asio::steady_timer expiry;
    kube::Standing standing;
  };
  void follow_services();
  void follow_slices();
  void follow_nodes();
  void follow(Resource& resource, const char* path, kube::ReflectorEvents events);
  void rise(Resource& resource);
  void fall(Resource& resource, const std::string& reason);
  /// What is known of the resource no longer counts: publishes without it.
  void expired(const Resource& resource, const std::string& reason);
  void renew();

  boost::asio::any_io_executor executor_;
  const ServiceWatchConfig config_;
  telemetry::MetricsRegistry& metrics_;
  const std::function<void()> changed_;
  ServiceTable table_;
  Resource services_, slices_, nodes_;
  async::TaskGroup tasks_;
  bool stopping_ = false;
};

}  // namespace sidetap::webhook::registry
