// Metrics of certificates that are counted in more than one place.
#pragma once

#include "shared/telemetry/metrics.h"

namespace sidetap::certificates {

/// Label "where": secret, served.
inline const telemetry::MetricSpec kOutOfDatesMetric{
    "sidetap_webhook_certificates_out_of_dates_total", telemetry::MetricType::kCounter,
    "Certificates that had expired or were not valid yet: found in the Secret and renewed by this "
    "replica, or served because there was no better one."};

}  // namespace sidetap::certificates
