// The counts of a tap, as metrics and as the summary in the log. One list declares all names.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "shared/telemetry/metrics.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// One row for each interface. Each of its sensors that there are or have been has metrics of its
/// own; those of a former sensor keep their last totals. Use it on the control thread.
class TapMetrics {
 public:
  /// `registry` and `loops` must outlive this object. The loops must not run yet.
  TapMetrics(telemetry::MetricsRegistry& registry, std::vector<CaptureLoop*> loops);
  ~TapMetrics();

  /// Requests the counts of the packet paths. The metrics show them when `done` is called.
  void refresh(std::function<void()> done);
  /// Logs one line per interface: all packets seen, and what became of them. Call it when the
  /// packet paths have ended.
  void log_summary();

 private:
  struct Row;
  std::vector<std::unique_ptr<Row>> rows_;
};

}  // namespace sidetap
