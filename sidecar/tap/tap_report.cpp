#include "sidecar/tap/tap_report.h"

#include <utility>

#include "shared/async/after_all.h"
#include "shared/async/interruption.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "sidecar/tap/totals.h"

namespace sidetap {
namespace {

constexpr std::chrono::milliseconds kReportStopLimit{1'000};

}  // namespace

/// Its task keeps it alive.
struct TapReport::Impl {
  using Clock = std::chrono::steady_clock;

  struct Row {
    ReportedPath path;
    LoopCounts counts{};  ///< The last answer.
    bool asked = false;   ///< An answer is due.
  };

  Impl(boost::asio::any_io_executor the_executor, std::vector<ReportedPath> paths,
       ReportCallbacks the_callbacks, telemetry::MetricsRegistry& metrics, ReportPace the_pace)
      : executor(std::move(the_executor)),
        callbacks(std::move(the_callbacks)),
        pace(the_pace),
        tasks(executor, &metrics) {
    for (ReportedPath& path : paths) rows.push_back(std::make_shared<Row>(Row{std::move(path)}));
  }

  boost::asio::awaitable<void> keep_reporting() {
    while (!stopping) {
      co_await refresh_counts();
      if (stopping) break;
      const registry::Report described = description();
      registry::Report report = described;
      for (const auto& row : rows) add_totals(row->counts, *row->path.ledger, report);
      callbacks.send(report);
      const auto next = Clock::now() + pace.interval;
      co_await async::sleep(executor, pace.least, &stop);
      for (;;) {
        changed.clear();
        const auto now = Clock::now();
        if (stopping || now >= next || description() != described) break;
        co_await async::sleep(executor, std::chrono::ceil<std::chrono::milliseconds>(next - now),
                              &changed);
      }
    }
  }

  boost::asio::awaitable<void> refresh_counts() {
    // A late answer of an earlier round must not end this one.
    const auto all = std::make_shared<async::Interruption>();
    answered = all;
    const auto one_answered = async::after_all(rows.size(), [all] { all->request(); });
    for (const auto& row : rows) {
      // One that hangs is not asked again and again.
      if (std::exchange(row->asked, true)) {
        one_answered();
        continue;
      }
      row->path.counts([row, one_answered](LoopCounts counts) {
        row->counts = std::move(counts);
        row->asked = false;
        one_answered();
      });
    }
    co_await async::sleep(executor, pace.patience, all.get());
  }

  /// A report without counts.
  registry::Report description() const {
    const ControlState state = callbacks.state();
    registry::Report report;
    report.release = SIDETAP_VERSION;
    report.profile = state.profile;
    report.generation = state.generation;
    report.following = state.following;
    for (const auto& row : rows) {
      report.interfaces.push_back(row->path.interface());
      for (registry::SensorReport& sensor : row->path.sensors())
        report.sensors.push_back(std::move(sensor));
    }
    return report;
  }

  boost::asio::any_io_executor executor;
  /// An answer that comes late finds its row.
  std::vector<std::shared_ptr<Row>> rows;
  ReportCallbacks callbacks;
  const ReportPace pace;
  bool stopping = false;
  async::Interruption stop;
  async::Interruption changed;
  /// Of the last round of questions.
  std::shared_ptr<async::Interruption> answered = std::make_shared<async::Interruption>();
  async::TaskGroup tasks;
};

TapReport::TapReport(boost::asio::any_io_executor executor, std::vector<ReportedPath> paths,
                     ReportCallbacks callbacks, telemetry::MetricsRegistry& metrics,
                     ReportPace pace)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(paths), std::move(callbacks),
                                   metrics, pace)) {}

TapReport::~TapReport() = default;

void TapReport::start() {
  impl_->tasks.supervise(
      "report", [impl = impl_.get()] { return impl->keep_reporting(); },
      [impl = impl_](const Result<void>&) {});
}

void TapReport::changed() { impl_->changed.request(); }

boost::asio::awaitable<void> TapReport::stop() {
  const auto impl = impl_;
  impl->stopping = true;
  impl->stop.request();
  impl->changed.request();
  impl->answered->request();
  co_await impl->tasks.wait(kReportStopLimit);
}

}  // namespace sidetap
