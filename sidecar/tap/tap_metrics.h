// What a tap counts, as metrics and as the summary in the log. The names stand in one list.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "shared/telemetry/metrics.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// One row for each interface. Used on the control thread.
class TapMetrics {
 public:
  /// `registry` and the loops, which do not run yet, outlive this object.
  TapMetrics(telemetry::MetricsRegistry& registry, std::vector<CaptureLoop*> loops);
  ~TapMetrics();

  /// Asks the packet paths for their counts. When `done` is called, the metrics show them.
  void refresh(std::function<void()> done);
  /// One line an interface: everything seen, and what became of it. To be called when the packet
  /// paths have ended.
  void log_summary();

 private:
  struct Row;
  std::vector<std::unique_ptr<Row>> rows_;
};

}  // namespace sidetap
