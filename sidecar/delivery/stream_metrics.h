// Metrics of capture streams over TCP. Their packets are in the tap's own metrics.
#pragma once

#include "shared/telemetry/metrics.h"

namespace sidetap {

inline const telemetry::MetricSpec kReadersMetric{
    "sidetap_pcap_readers", telemetry::MetricType::kGauge,
    "Readers of PCAP-over-IP that get packets, including those that this program connected to."};
/// Label "reason": address, readers.
inline const telemetry::MetricSpec kReadersRefusedMetric{
    "sidetap_pcap_readers_refused_total", telemetry::MetricType::kCounter,
    "Readers that tried to connect and were refused."};
/// Label "cause": closed, lost, stalled, talked.
inline const telemetry::MetricSpec kReaderEndsMetric{
    "sidetap_pcap_reader_ends_total", telemetry::MetricType::kCounter,
    "Capture streams that ended, by cause; not counted when the process itself stops."};

}  // namespace sidetap
