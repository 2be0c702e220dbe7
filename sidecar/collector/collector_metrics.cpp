#include "sidecar/collector/collector_metrics.h"

#include <string>
#include <utility>

#include "shared/telemetry/log.h"
#include "sidecar/collector/metrics.h"

namespace sidetap::collector {

CollectorMetrics::CollectorMetrics(telemetry::MetricsRegistry& registry, DataWays& ways)
    : ways_(ways) {
  const auto show = [&](const telemetry::MetricSpec& spec, const char* what, auto read) {
    const telemetry::Labels labels =
        what == nullptr ? telemetry::Labels() : telemetry::Labels{{"what", what}};
    registry.expose(spec, labels, [this, read] { return static_cast<double>(read(counts_)); });
  };
  using Counts = ReceiverCounts;
  show(kReceivedMetric, nullptr, [](const Counts& c) { return c.packets; });
  show(kReceivedBytesMetric, nullptr, [](const Counts& c) { return c.bytes; });
  show(kRefusedByFilterMetric, nullptr, [](const Counts& c) { return c.filtered; });
  show(kMissingMetric, nullptr, [](const Counts& c) { return c.missing_packets; });
  show(kBrokenMetric, nullptr, [](const Counts& c) { return c.broken_packets; });
  show(kHeldMetric, nullptr, [](const Counts& c) { return c.held; });
  show(kDatagramsMetric, "received", [](const Counts& c) { return c.datagrams; });
  show(kDatagramsMetric, "lost", [](const Counts& c) { return c.lost_datagrams; });
  show(kDatagramsMetric, "late", [](const Counts& c) { return c.late_datagrams; });
  show(kDatagramsMetric, "malformed", [](const Counts& c) { return c.malformed; });
  show(kDatagramsMetric, "strange", [](const Counts& c) { return c.strange_datagrams; });
  registry.expose(kStrangeStreamsMetric, {},
                  [this] { return static_cast<double>(ways_.strange_streams()); });
}

void CollectorMetrics::refresh(std::function<void()> done) {
  ways_.counts([this, done = std::move(done)](const ReceiverCounts& counts) {
    counts_ = counts;
    done();
  });
}

void CollectorMetrics::log_summary() {
  refresh([] {});  // answered at once, because the packet thread has ended
  telemetry::info("totals from taps", {{"packets", counts_.packets},
                                       {"refused_by_filter", counts_.filtered},
                                       {"missing_packets", counts_.missing_packets},
                                       {"broken_packets", counts_.broken_packets},
                                       {"datagrams", counts_.datagrams},
                                       {"lost_datagrams", counts_.lost_datagrams},
                                       {"late_datagrams", counts_.late_datagrams},
                                       {"malformed", counts_.malformed},
                                       {"strange_datagrams", counts_.strange_datagrams},
                                       {"strange_streams", ways_.strange_streams()}});
}

}  // namespace sidetap::collector
