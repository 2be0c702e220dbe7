// Tells the registry what this tap does: at regular intervals, and soon when anything but a count
// changes.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/registry/messages.h"
#include "sidecar/path/packet_loop.h"
#include "sidecar/path/pipeline.h"
#include "sidecar/tap/live_control.h"

namespace sidetap {

/// What a report asks the path of one interface. All are called on the control thread.
struct ReportedPath {
  std::function<registry::InterfaceReport()> interface {};
  std::function<std::vector<registry::SensorReport>()> sensors{};
  /// May answer later, or never; on the control thread as well.
  std::function<void(std::function<void(LoopCounts)>)> counts{};
  const Ledger* ledger = nullptr;  ///< Outlives the reports.
};

struct ReportPace {
  std::chrono::milliseconds interval = registry::kReportInterval;
  /// From one report to the next at least.
  std::chrono::milliseconds least{1'000};
  /// A capture thread answers within a few hundred milliseconds. If one hangs, its last counts are
  /// sent.
  std::chrono::milliseconds patience{2'000};
};

struct ReportCallbacks {
  std::function<ControlState()> state{};  ///< Whose settings are in force.
  std::function<void(const registry::Report&)> send{};
};

/// Use it on the control thread.
class TapReport {
 public:
  /// `metrics` must outlive this object.
  TapReport(boost::asio::any_io_executor executor, std::vector<ReportedPath> paths,
            ReportCallbacks callbacks, telemetry::MetricsRegistry& metrics, ReportPace pace = {});
  /// Call it after stop(), or when the executor no longer runs.
  ~TapReport();
  TapReport(const TapReport&) = delete;
  TapReport& operator=(const TapReport&) = delete;

  /// Sends the first report soon, but not within this call. Every callback must work from then on
  /// until stop() returns.
  void start();
  /// Call it when something but a count may have changed.
  void changed();
  boost::asio::awaitable<void> stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
