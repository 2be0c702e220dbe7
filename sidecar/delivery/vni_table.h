// Publishes which VNI the packets of each namespace have: in the log when one is first used, and as
// metrics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "shared/telemetry/metrics.h"

namespace sidetap {

/// Labels "namespace", "vni".
inline const telemetry::MetricSpec kVxlanVniMetric{
    "sidetap_vxlan_vni", telemetry::MetricType::kGauge,
    "1 for each namespace whose packets were sent in VXLAN; the label vni is their VNI"};

/// One for the process. Use it on the control thread.
class VniTable {
 public:
  /// Further namespaces are not published, and one line of the log says so.
  static constexpr std::size_t kMostRows = 1024;

  /// `metrics` must outlive this object.
  explicit VniTable(telemetry::MetricsRegistry& metrics) : metrics_(metrics) {}

  /// Packets of the namespace have that VNI. Anew, or said before.
  void note(const std::string& pod_namespace, std::uint32_t vni);

 private:
  telemetry::MetricsRegistry& metrics_;
  std::map<std::string, std::uint32_t> numbers_;     // by namespace
  std::map<std::uint32_t, std::string> namespaces_;  // the first that had the number
  bool full_ = false;
};

}  // namespace sidetap
