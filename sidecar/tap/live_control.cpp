#include "sidecar/tap/live_control.h"

#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/counter.h>

#include "shared/net/text.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/metrics.h"

namespace sidetap {
namespace {

const telemetry::MetricSpec kControlRefused{
    "sidetap_control_refused_total", telemetry::MetricType::kCounter,
    "Settings from the registry that this tap could not apply; it keeps its previous settings"};

}  // namespace

LiveControl::LiveControl(RunOptions start, CommandLine line, LiveActions actions,
                         telemetry::MetricsRegistry& metrics)
    : start_(std::move(start)),
      line_(std::move(line)),
      actions_(std::move(actions)),
      metrics_(metrics),
      in_force_(start_) {
  metrics_.counter(kControlRefused);  // shown from the start
}

void LiveControl::apply(const registry::Settings& settings) {
  auto options = options_with(start_, line_, settings.values);
  if (!options) return refuse(settings, options.error().text);
  const std::vector<std::string_view> changed = changed_controls(in_force_, *options);
  if (!changed.empty()) {
    if (const auto followed = actions_.follow(*options); !followed)
      return refuse(settings, followed.error().text);
  }
  in_force_ = std::move(*options);
  state_ = {settings.profile, settings.generation, true};
  refused_.clear();
  telemetry::log(changed.empty() ? telemetry::LogLevel::kDebug : telemetry::LogLevel::kInfo,
                 "following the registry's settings",
                 {{"changed", net::joined(changed)},
                  {"profile", settings.profile},
                  {"generation", settings.generation}});
}

void LiveControl::refuse(const registry::Settings& settings, const std::string& reason) {
  state_.following = false;
  metrics_.counter(kControlRefused).Increment();
  const auto level = reason == refused_ ? telemetry::LogLevel::kDebug : telemetry::LogLevel::kWarn;
  refused_ = reason;
  telemetry::log(
      level, "the registry's settings cannot be applied; the tap goes on as before",
      {{"reason", reason}, {"profile", settings.profile}, {"generation", settings.generation}});
}

}  // namespace sidetap
