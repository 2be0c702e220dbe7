// What a tap counts, as metrics and as the summary in the log. The names stand in one list.
#pragma once

#include <memory>
#include <vector>

#include "shared/telemetry/metrics.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// One row for each interface. Used on the control thread.
class TapMetrics {
 public:
  /// `registry` and the loops outlive this object.
  TapMetrics(telemetry::MetricsRegistry& registry, std::vector<CaptureLoop*> loops);
  ~TapMetrics();

  /// Asks the packet path for its counts; the metrics show them from then on.
  void refresh();
  /// One line an interface: everything seen, and what became of it.
  void log_summary();

 private:
  struct Row;
  std::vector<std::unique_ptr<Row>> rows_;
};

}  // namespace sidetap
