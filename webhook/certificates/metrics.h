// Metrics of certificates that are counted in more than one place.
#pragma once

#include "shared/telemetry/metrics.h"

namespace sidetap::certificates {

/// Label "where": secret, served.
inline const telemetry::MetricSpec kOutOfDatesMetric{
    "sidetap_webhook_certificates_out_of_dates_total", telemetry::MetricType::kCounter,
    "Certificates that had expired or were not valid yet: found in the Secret, to be made anew by "
    "this replica, or served for want of a better one."};

}  // namespace sidetap::certificates
