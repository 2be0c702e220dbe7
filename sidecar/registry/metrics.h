// Metrics of the registry's client.
#pragma once

#include <cstddef>

#include <prometheus/gauge.h>

#include "shared/telemetry/metrics.h"
#include "sidecar/registry/settled_peers.h"

namespace sidetap::registry {

inline const telemetry::MetricSpec kReplicasMetric{
    "sidetap_registry_replicas", telemetry::MetricType::kGauge,
    "Replicas of the registry that have told this tap its peers."};
inline const telemetry::MetricSpec kPeersMetric{
    "sidetap_registry_peers", telemetry::MetricType::kGauge,
    "Addresses that count as tapped according to the registry."};
inline const telemetry::MetricSpec kTappedServicesMetric{
    "sidetap_registry_tapped_services", telemetry::MetricType::kGauge,
    "Services whose packets this tap leaves to the backends' taps, because the registry says that "
    "all backends are tapped; 0 if the registry does not say so."};
inline const telemetry::MetricSpec kClientOwnedMetric{
    "sidetap_registry_client_owned_endpoints", telemetry::MetricType::kGauge,
    "Endpoints of partly tapped Services, as the registry says: the tap of a tapped client "
    "forwards their packets in both directions."};
inline const telemetry::MetricSpec kOlderPeersMetric{
    "sidetap_registry_older_peers", telemetry::MetricType::kGauge,
    "Addresses among sidetap_registry_peers to which this tap applies older rules of ownership, "
    "because their taps, or all replicas that list them, know no newer rules."};
inline const telemetry::MetricSpec kResyncsMetric{
    "sidetap_registry_resyncs_total", telemetry::MetricType::kCounter,
    "Snapshots requested because a change was missed."};
inline const telemetry::MetricSpec kAloneMetric{
    "sidetap_registry_alone_total", telemetry::MetricType::kCounter,
    "Times that no replica answered for longer than --registry-grace, so that every peer counted "
    "as untapped."};
/// Label "kind": look_up, connect, handshake, refused, lost, malformed.
inline const telemetry::MetricSpec kRegistryFailuresMetric{
    "sidetap_registry_failures_total", telemetry::MetricType::kCounter,
    "Connections to a replica that failed or ended, by cause."};

/// Sets the gauges of the lists.
inline void show(const Peers& peers, telemetry::MetricsRegistry& metrics) {
  const auto set = [&metrics](const telemetry::MetricSpec& gauge, std::size_t number) {
    metrics.gauge(gauge).Set(static_cast<double>(number));
  };
  set(kPeersMetric, peers.tapped.size());
  set(kTappedServicesMetric, peers.services ? peers.services->size() : 0);
  set(kClientOwnedMetric, peers.client_owned.size());
  set(kOlderPeersMetric, peers.older.size());
}

}  // namespace sidetap::registry
