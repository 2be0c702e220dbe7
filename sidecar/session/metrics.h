// Metrics of the sessions.
#pragma once

#include "shared/telemetry/metrics.h"

namespace sidetap::session {

/// Label "state": dialling, authenticating, ready, opened, capturing.
inline const telemetry::MetricSpec kSessionsMetric{
    "sidetap_sessions", telemetry::MetricType::kGauge, "RPCAP sessions by state."};
/// Label "sensor": as configured.
inline const telemetry::MetricSpec kDialsMetric{
    "sidetap_session_dials_total", telemetry::MetricType::kCounter,
    "Attempts to reach a sensor; all but the first are redials."};
/// Label "kind": secret, look_up, connect, self, same, tls, closed, refused, protocol, lost,
/// timeout, data.
inline const telemetry::MetricSpec kSessionEndsMetric{
    "sidetap_session_ends_total", telemetry::MetricType::kCounter,
    "Sessions that ended or failed to start, by cause; not counted when the tap itself stops."};
/// Clients in passive mode. Label "reason": address, sessions.
inline const telemetry::MetricSpec kClientsRefusedMetric{
    "sidetap_session_clients_refused_total", telemetry::MetricType::kCounter,
    "Clients that connected to the tap and were refused."};

}  // namespace sidetap::session
