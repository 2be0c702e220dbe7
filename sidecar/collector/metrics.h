// Metrics of the collector, towards taps. Those towards sensors are the tap's own.
#pragma once

#include "shared/telemetry/metrics.h"

namespace sidetap::collector {

/// Label "state": opening, starting, capturing, ending.
inline const telemetry::MetricSpec kTapsMetric{
    "sidetap_collector_taps", telemetry::MetricType::kGauge, "Sessions of taps by state"};
/// Label "kind": closed, refused, protocol, unsuitable, unproved, tls, lost, timeout, data,
/// stopped.
inline const telemetry::MetricSpec kTapEndsMetric{"sidetap_collector_tap_ends_total",
                                                  telemetry::MetricType::kCounter,
                                                  "Sessions of taps that ended, by cause"};
/// Label "reason": address, sessions, sessions-of-address and no-certificate, before anything is
/// read of a connection; unlisted, other-address and registry, if the registry does not prove its
/// pod in time (tap_proof.h).
inline const telemetry::MetricSpec kTapsRefusedMetric{"sidetap_collector_taps_refused_total",
                                                      telemetry::MetricType::kCounter,
                                                      "Taps that were refused, by reason"};
/// Label "proof": registry; none: on its word, because nothing was known of the registry yet.
inline const telemetry::MetricSpec kTapsAdmittedMetric{
    "sidetap_collector_taps_admitted_total", telemetry::MetricType::kCounter,
    "With --registry, taps that were admitted, by what proves their pod"};
inline const telemetry::MetricSpec kRegistryFollowedMetric{
    "sidetap_collector_registry_followed", telemetry::MetricType::kGauge,
    "With --registry, 1 while the collector is connected to the registry and learns changes at "
    "once"};
inline const telemetry::MetricSpec kReceivedMetric{
    "sidetap_collector_packets_received_total", telemetry::MetricType::kCounter,
    "Packets that arrived from taps, including those that the operator's filter refuses"};
inline const telemetry::MetricSpec kReceivedBytesMetric{"sidetap_collector_received_bytes_total",
                                                        telemetry::MetricType::kCounter,
                                                        "Bytes of these packets, as captured"};
inline const telemetry::MetricSpec kRefusedByFilterMetric{
    "sidetap_collector_packets_refused_by_filter_total", telemetry::MetricType::kCounter,
    "Packets from taps that the operator's filter refuses"};
inline const telemetry::MetricSpec kMissingMetric{
    "sidetap_collector_packets_missing_total", telemetry::MetricType::kCounter,
    "Packets that are missing in the taps' numbers: lost on the way, or not sent by the tap, which "
    "counts those itself"};
/// Label "what": received, lost, late, malformed, strange.
inline const telemetry::MetricSpec kDatagramsMetric{
    "sidetap_collector_datagrams_total", telemetry::MetricType::kCounter,
    "Datagrams from taps; lost: missing in the sequence; late: out of order, not used; malformed: "
    "violate the format (streams too); strange: from senders that are not taps"};
inline const telemetry::MetricSpec kStrangeStreamsMetric{
    "sidetap_collector_strange_streams_total", telemetry::MetricType::kCounter,
    "With TCP, connections to the data port that were closed, because no tap of their address was "
    "about to open its stream"};
inline const telemetry::MetricSpec kBrokenMetric{
    "sidetap_collector_packets_broken_total", telemetry::MetricType::kCounter,
    "Packets that began, but whose rest was lost; part of the missing ones"};
inline const telemetry::MetricSpec kHeldMetric{
    "sidetap_collector_held_bytes", telemetry::MetricType::kGauge,
    "Memory for packets that are not complete yet, beyond 4096 bytes a tap"};

}  // namespace sidetap::collector
