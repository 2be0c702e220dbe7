#include "webhook/registry/metrics.h"

#include <string>

#include <prometheus/counter.h>

#include "shared/telemetry/log.h"

namespace sidetap::webhook::registry {
namespace {

using telemetry::MetricSpec;
using telemetry::MetricType;

const MetricSpec kTaps{"sidetap_registry_taps", MetricType::kGauge,
                       "Registered taps by state: forwarding or idle."};
const MetricSpec kStanding{"sidetap_registry_taps_by_standing", MetricType::kGauge,
                           "Taps by state: forwarding, paused, or no-sensor; within the last "
                           "minutes, gone (disconnected unexpectedly) or ended (stopped cleanly)."};
const MetricSpec kNotFollowing{
    "sidetap_registry_taps_not_following", MetricType::kGauge,
    "Connected taps that accept settings from the registry and have not applied the current ones."};
const MetricSpec kAddresses{"sidetap_registry_addresses", MetricType::kGauge,
                            "Addresses of forwarding taps, as published."};
const MetricSpec kVersion{"sidetap_registry_version", MetricType::kGauge,
                          "Version of the published set."};
const MetricSpec kConnections{"sidetap_registry_connections", MetricType::kGauge,
                              "Open connections, registered or not."};
const MetricSpec kAnnounced{"sidetap_registry_ca_announced", MetricType::kGauge,
                            "1 while the registry sends taps a CA that verifies its certificate."};
const MetricSpec kServices{"sidetap_registry_services", MetricType::kGauge,
                           "Service addresses by their backends: tapped, untapped, mixed, or none. "
                           "Without --registry-services, there are none."};
const MetricSpec kEndpoints{"sidetap_registry_endpoints", MetricType::kGauge,
                            "Endpoints of Services that are known."};
const MetricSpec kHidden{
    "sidetap_registry_services_published", MetricType::kGauge,
    "Service addresses whose packets clients' taps leave to the backends' taps, as published: "
    "those whose backends are all tapped, while the API server can be watched."};
const MetricSpec kOverflow{
    "sidetap_registry_services_overflow", MetricType::kGauge,
    "1 while there are more Services or EndpointSlices than the registry keeps."};
const MetricSpec kPublished{"sidetap_registry_published", MetricType::kGauge,
                            "Items that taps are told, by list."};
const MetricSpec kLeftOut{"sidetap_registry_left_out", MetricType::kGauge,
                          "Items that taps are not told because they exceed a limit, by list."};

}  // namespace

void count_refused(telemetry::MetricsRegistry& metrics, const char* reason) {
  metrics.counter(kRefused, {{"reason", reason}}).Increment();
}

void Figures::expose(telemetry::MetricsRegistry& metrics, bool services) const {
  const auto number = [](const auto& value) {
    return [&value] { return static_cast<double>(value.load()); };
  };
  metrics.expose(kTaps, {{"state", "forwarding"}}, number(forwarding_));
  metrics.expose(kTaps, {{"state", "idle"}}, [this] {
    return static_cast<double>(registered_.load()) - static_cast<double>(forwarding_.load());
  });
  for (std::size_t i = 0; i < standing_.size(); ++i) {
    const auto name = inventory::name_of(static_cast<inventory::Standing>(i));
    metrics.expose(kStanding, {{"standing", std::string(name)}}, number(standing_[i]));
  }
  metrics.expose(kNotFollowing, {}, number(not_following_));
  metrics.expose(kAddresses, {}, number(listed_));
  metrics.expose(kVersion, {}, number(version_));
  metrics.expose(kConnections, {}, number(connections_));
  metrics.expose(kAnnounced, {}, number(announced_));
  for (const List* list : {&taps_, &older_}) list->expose(metrics);
  if (!services) return;
  for (const List* list : {&services_, &nodes_, &client_owned_, &server_ports_, &front_ends_})
    list->expose(metrics);
  metrics.expose(kServices, {{"backends", "tapped"}}, number(tapped_));
  metrics.expose(kServices, {{"backends", "untapped"}}, number(untapped_));
  metrics.expose(kServices, {{"backends", "mixed"}}, number(mixed_));
  metrics.expose(kServices, {{"backends", "none"}}, number(none_));
  metrics.expose(kEndpoints, {}, number(endpoints_));
  metrics.expose(kHidden, {}, number(hidden_));
  metrics.expose(kOverflow, {}, number(overflowing_));
}

void Figures::List::expose(telemetry::MetricsRegistry& metrics) const {
  metrics.expose(kPublished, {{"list", name}},
                 [this] { return static_cast<double>(published.load()); });
  metrics.expose(kLeftOut, {{"list", name}},
                 [this] { return static_cast<double>(left_out.load()); });
}

void Figures::count(const TapSet& taps, std::uint64_t version) {
  forwarding_ = taps.forwarding();
  registered_ = taps.connections();
  listed_ = taps.published().size();
  version_ = version;
  taps_.count(taps.published().size(), taps.left_out());
  older_.count(taps.older().size(), taps.older_left_out());
}

void Figures::count(const inventory::Inventory& taps) {
  std::array<std::size_t, inventory::kStandings> standing{};
  std::size_t not_following = 0;
  for (const auto& [name, tap] : taps.taps()) {
    ++standing[static_cast<std::size_t>(tap.standing())];
    if (!tap.ended && !tap.follows()) ++not_following;
  }
  for (std::size_t i = 0; i < standing.size(); ++i) standing_[i] = standing[i];
  not_following_ = not_following;
}

void Figures::count(const ServiceTable& table) {
  const auto counts = table.counts();
  tapped_ = counts.tapped;
  untapped_ = counts.untapped;
  mixed_ = counts.mixed;
  none_ = counts.none;
  endpoints_ = table.endpoints();
  hidden_ = table.services().size();
  const auto left_out = table.left_out();
  services_.count(table.services().size(), left_out.services);
  nodes_.count(table.nodes().size(), left_out.nodes);
  client_owned_.count(table.client_owned().size(), left_out.client_owned);
  server_ports_.count(table.server_ports().size(), left_out.server_ports);
  front_ends_.count(table.front_ends().size(), left_out.front_ends);
  const bool over = table.overflowing();
  if (overflowing_.exchange(over ? 1 : 0) == 0 && over) {
    telemetry::warn(
        "too many Services or EndpointSlices for the registry: clients' taps forward the packets "
        "of Services",
        {{"endpoints", table.endpoints()}});
  }
}

}  // namespace sidetap::webhook::registry
