#include "webhook/registry/service_watch.h"

#include <memory>
#include <utility>

#include <prometheus/counter.h>

#include "shared/telemetry/log.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using nlohmann::json;

const telemetry::MetricSpec kFailures{
    "sidetap_registry_service_watch_failures_total", telemetry::MetricType::kCounter,
    "Lists and watches of Services and EndpointSlices that failed, by resource."};

/// 10,000 endpoints of 500 bytes each, with a wide margin.
constexpr std::size_t kMostAnswerBytes = 16u << 20;

}  // namespace

ServiceWatch::ServiceWatch(asio::any_io_executor executor, ServiceWatchConfig config,
                           telemetry::MetricsRegistry& metrics, std::function<void()> changed)
    : executor_(executor),
      config_(std::move(config)),
      metrics_(metrics),
      changed_(std::move(changed)),
      table_(config_.limits),
      services_(executor),
      slices_(executor),
      tasks_(executor, &metrics) {}

void ServiceWatch::start() {
  kube::ReflectorConfig config;
  config.wait.least = config_.first_wait;
  config.path = "/api/v1/services";
  kube::ReflectorEvents events;
  events.list_begins = [this] { table_.services_begin(); };
  events.present = [this](const json& object) {
    if (auto facts = read_service(object)) table_.set(std::move(*facts));
    renew();
  };
  events.gone = [this](const json& object) {
    if (const auto facts = read_service(object)) table_.remove_service(facts->name);
    renew();
  };
  events.list_ended = [this] { table_.services_end(); };
  follow(services_, config, events, "services");

  config.path = "/apis/discovery.k8s.io/v1/endpointslices";
  events.list_begins = [this] { table_.slices_begin(); };
  events.present = [this](const json& object) {
    if (auto facts = read_slice(object)) table_.set(std::move(*facts));
    renew();
  };
  events.gone = [this](const json& object) {
    if (const auto facts = read_slice(object)) table_.remove_slice(facts->name);
    renew();
  };
  events.list_ended = [this] { table_.slices_end(); };
  follow(slices_, std::move(config), std::move(events), "endpointslices");
}

void ServiceWatch::follow(Resource& resource, kube::ReflectorConfig config,
                          kube::ReflectorEvents events, const char* name) {
  events.standing = [this, &resource, name] { rise(resource, name); };
  events.fallen = [this, &resource, name](const std::string& reason) {
    fall(resource, name, reason);
  };
  const auto reflector = std::make_shared<kube::Reflector>(
      kube::Client(executor_, config_.credentials, {.body_bytes = kMostAnswerBytes}),
      std::move(config), std::move(events));
  tasks_.supervise(
      "service-watch", [reflector] { return reflector->run(); },
      [this, &resource, name](const Result<void>& outcome) {
        forget(resource, name, outcome.error().text);
      });
}

void ServiceWatch::rise(Resource& resource, const char* name) {
  resource.standing = resource.current = true;
  resource.expiry.cancel();
  if (std::exchange(resource.reported, false)) {
    telemetry::info("watching the API server again", {{"resource", name}});
  }
  renew();
}

void ServiceWatch::fall(Resource& resource, const char* name, const std::string& reason) {
  if (stopping_) return;  // the grace period would delay the shutdown
  metrics_.counter(kFailures, {{"resource", name}}).Increment();
  if (!std::exchange(resource.reported, true)) {
    telemetry::warn("cannot watch the API server; trying again",
                    {{"resource", name}, {"reason", reason}});
  }
  if (!std::exchange(resource.standing, false) || !resource.current) return;
  resource.expiry.expires_after(config_.grace);
  resource.expiry.async_wait([this, &resource, name](const boost::system::error_code& error) {
    if (error || resource.standing) return;
    forget(resource, name, "too old");
  });
}

void ServiceWatch::forget(Resource& resource, const char* name, const std::string& reason) {
  resource.standing = resource.current = false;
  telemetry::warn("the list of Services has expired: no Service counts as tapped",
                  {{"resource", name}, {"reason", reason}});
  renew();
}

void ServiceWatch::renew() {
  table_.set_current(services_.current && slices_.current);
  changed_();
}

void ServiceWatch::stop() {
  stopping_ = true;
  services_.expiry.cancel();
  slices_.expiry.cancel();
  tasks_.cancel();
}

}  // namespace sidetap::webhook::registry
