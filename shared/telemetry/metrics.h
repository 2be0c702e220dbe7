// Metrics in the Prometheus text format, on prometheus-cpp.
//
// Each component declares its metrics as constants of type MetricSpec in one list. Code, exposition
// and documentation follow from that list.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace sidetap::telemetry {

enum class MetricType { kCounter, kGauge, kHistogram };

struct MetricSpec {
  std::string_view name;  ///< With unit suffix: _total, _seconds, _bytes.
  MetricType type;
  std::string_view help;
  std::vector<double> buckets = {};  ///< Histograms only, ascending upper bounds.
};

using Labels = std::map<std::string, std::string>;

/// A counter for the packet path: one thread adds, any thread reads.
class HotCounter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Owns the metrics of one program. All members are thread-safe. The same spec and labels return
/// the same metric. Label values must come from a bounded set.
class MetricsRegistry {
 public:
  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  prometheus::Counter& counter(const MetricSpec& spec, const Labels& labels = {});
  prometheus::Gauge& gauge(const MetricSpec& spec, const Labels& labels = {});
  prometheus::Histogram& histogram(const MetricSpec& spec, const Labels& labels = {});
  /// A counter or gauge whose value is read at each scrape. `read` is called on the scraping
  /// thread.
  void expose(const MetricSpec& spec, Labels labels, std::function<double()> read);

  /// Text exposition format 0.0.4; sorted by name.
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace sidetap::telemetry
