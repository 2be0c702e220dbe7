// The counts of what arrives from taps, as metrics and as the summary in the log.
#pragma once

#include <functional>

#include "shared/telemetry/metrics.h"
#include "sidecar/collector/data_ways.h"

namespace sidetap::collector {

/// Use it on the control thread.
class CollectorMetrics {
 public:
  /// `registry` and `ways` outlive this object, and it outlives the registry's scrapes.
  CollectorMetrics(telemetry::MetricsRegistry& registry, DataWays& ways);

  /// Asks the packet thread. The metrics show what it says when `done` is called.
  void refresh(std::function<void()> done);
  /// Logs one line: all that came, and what is missing. Call it when the packet thread has ended.
  void log_summary();

 private:
  DataWays& ways_;
  ReceiverCounts counts_;
};

}  // namespace sidetap::collector
