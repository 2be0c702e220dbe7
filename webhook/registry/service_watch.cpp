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
    "Lists and watches of Services, EndpointSlices and Nodes that failed, by resource."};

}  // namespace

ServiceWatch::ServiceWatch(asio::any_io_executor executor, ServiceWatchConfig config,
                           telemetry::MetricsRegistry& metrics, std::function<void()> changed)
    : executor_(executor),
      config_(std::move(config)),
      metrics_(metrics),
      changed_(std::move(changed)),
      table_(config_.limits),
      services_("services", executor),
      slices_("endpointslices", executor),
      nodes_("nodes", executor),
      tasks_(executor, &metrics) {}

void ServiceWatch::start() {
  follow_services();
  follow_slices();
  if (config_.nodes) follow_nodes();
}

void ServiceWatch::follow_services() {
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
  follow(services_, "/api/v1/services", std::move(events));
}

void ServiceWatch::follow_slices() {
  kube::ReflectorEvents events;
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
  follow(slices_, "/apis/discovery.k8s.io/v1/endpointslices", std::move(events));
}

void ServiceWatch::follow_nodes() {
  kube::ReflectorEvents events;
  events.list_begins = [this] { table_.nodes_begin(); };
  events.present = [this](const json& object) {
    if (auto facts = read_node(object)) table_.set_node(std::move(*facts));
    renew();
  };
  events.gone = [this](const json& object) {
    if (const auto facts = read_node(object)) table_.remove_node(facts->name);
    renew();
  };
  events.list_ended = [this] { table_.nodes_end(); };
  follow(nodes_, "/api/v1/nodes", std::move(events));
}

void ServiceWatch::follow(Resource& resource, const char* path, kube::ReflectorEvents events) {
  kube::ReflectorConfig config;
  config.wait.least = config_.first_wait;
  config.path = path;
  events.standing = [this, &resource] { rise(resource); };
  events.fallen = [this, &resource](const std::string& reason) { fall(resource, reason); };
  const auto reflector = std::make_shared<kube::Reflector>(
      kube::Client(executor_, config_.credentials), std::move(config), std::move(events));
  tasks_.supervise(
      "service-watch", [reflector] { return reflector->run(); },
      [this, &resource](const Result<void>& outcome) {
        resource.standing.forget();
        expired(resource, outcome.error().text);
      });
}

void ServiceWatch::rise(Resource& resource) {
  resource.expiry.cancel();
  if (resource.standing.rise()) {
    telemetry::info("watching the API server again", {{"resource", resource.name}});
  }
  renew();
}

void ServiceWatch::fall(Resource& resource, const std::string& reason) {
  if (stopping_) return;  // the grace period would delay the shutdown
  metrics_.counter(kFailures, {{"resource", resource.name}}).Increment();
  const auto fallen = resource.standing.fall();
  if (fallen.first) {
    telemetry::warn("cannot watch the API server; trying again",
                    {{"resource", resource.name}, {"reason", reason}});
  }
  if (!fallen.grace) return;
  resource.expiry.expires_after(config_.grace);
  resource.expiry.async_wait(
      [this, &resource, grace = *fallen.grace](const boost::system::error_code& error) {
        if (!error && resource.standing.expire(grace)) expired(resource, "too old");
      });
}

void ServiceWatch::expired(const Resource& resource, const std::string& reason) {
  telemetry::warn(&resource == &nodes_
                      ? "the list of Nodes has expired: clients' taps forward packets to node ports"
                      : "the list of Services has expired: no Service counts as tapped",
                  {{"resource", resource.name}, {"reason", reason}});
  renew();
}

void ServiceWatch::renew() {
  table_.set_current(services_.standing.current() && slices_.standing.current());
  table_.set_nodes_current(nodes_.standing.current());
  changed_();
}

void ServiceWatch::stop() {
  stopping_ = true;
  services_.expiry.cancel();
  slices_.expiry.cancel();
  nodes_.expiry.cancel();
  tasks_.cancel();
}

}  // namespace sidetap::webhook::registry
