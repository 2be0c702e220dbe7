#include "shared/telemetry/metrics.h"

#include <algorithm>
#include <mutex>

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace sidetap::telemetry {

struct MetricsRegistry::Impl {
  struct Exposed {
    MetricSpec spec;
    Labels labels;
    std::function<double()> read;
  };
  prometheus::Registry registry;
  mutable std::mutex mutex;
  std::vector<Exposed> exposed;

  std::vector<prometheus::MetricFamily> collect() const {
    auto families = registry.Collect();
    const std::lock_guard lock(mutex);
    for (const Exposed& item : exposed) {
      const std::string name(item.spec.name);
      auto family = std::find_if(families.begin(), families.end(),
                                 [&](const auto& f) { return f.name == name; });
      if (family == families.end()) {
        prometheus::MetricFamily fresh;
        fresh.name = name;
        fresh.help = std::string(item.spec.help);
        fresh.type = item.spec.type == MetricType::kCounter ? prometheus::MetricType::Counter
                                                            : prometheus::MetricType::Gauge;
        families.push_back(std::move(fresh));
        family = std::prev(families.end());
      }
      prometheus::ClientMetric metric;
      for (const auto& [label, value] : item.labels) metric.label.push_back({label, value});
      if (item.spec.type == MetricType::kCounter) {
        metric.counter.value = item.read();
      } else {
        metric.gauge.value = item.read();
      }
      family->metric.push_back(std::move(metric));
    }
    std::sort(families.begin(), families.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return families;
  }
};

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {}
MetricsRegistry::~MetricsRegistry() = default;

prometheus::Counter& MetricsRegistry::counter(const MetricSpec& spec, const Labels& labels) {
  return prometheus::BuildCounter()
      .Name(std::string(spec.name))
      .Help(std::string(spec.help))
      .Register(impl_->registry)
      .Add(labels);
}

prometheus::Gauge& MetricsRegistry::gauge(const MetricSpec& spec, const Labels& labels) {
  return prometheus::BuildGauge()
      .Name(std::string(spec.name))
      .Help(std::string(spec.help))
      .Register(impl_->registry)
      .Add(labels);
}

prometheus::Histogram& MetricsRegistry::histogram(const MetricSpec& spec, const Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(std::string(spec.name))
      .Help(std::string(spec.help))
      .Register(impl_->registry)
      .Add(labels, spec.buckets);
}

void MetricsRegistry::expose(const MetricSpec& spec, Labels labels, std::function<double()> read) {
  const std::lock_guard lock(impl_->mutex);
  impl_->exposed.push_back({spec, std::move(labels), std::move(read)});
}

std::string MetricsRegistry::text() const {
  return prometheus::TextSerializer().Serialize(impl_->collect());
}

}  // namespace sidetap::telemetry
