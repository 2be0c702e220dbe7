#include "webhook/serve/observers.h"

#include <chrono>
#include <utility>
#include <vector>

#include "shared/kube/credentials.h"
#include "webhook/coverage/summary.h"
#include "webhook/events/review_event.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/view.h"
#include "webhook/registry/wall_clock.h"

namespace sidetap::webhook {
namespace {

constexpr std::chrono::seconds kLookPeriod{10};

/// What the first sensor without a session says of it; empty if none says anything.
std::string sensor_fault(const inventory::Tap& tap) {
  if (!tap.report) return {};
  for (const auto& sensor : tap.report->sensors)
    if (!sensor.reason.empty()) return sensor.sensor + ": " + sensor.reason;
  return {};
}

std::vector<events::TapCondition> conditions_of(const inventory::Inventory& inventory) {
  std::vector<events::TapCondition> conditions;
  conditions.reserve(inventory.taps().size());
  for (const auto& [name, tap] : inventory.taps()) {
    if (tap.ended) continue;
    const bool without_sensor = tap.standing() == inventory::Standing::kNoSensor;
    conditions.push_back({.pod = &tap.pod,
                          .without_sensor = without_sensor,
                          .reason = without_sensor ? sensor_fault(tap) : std::string()});
  }
  return conditions;
}

}  // namespace

Observers::Observers(boost::asio::any_io_executor executor, telemetry::MetricsRegistry& metrics)
    : executor_(executor), metrics_(metrics), timer_(executor) {}

Result<void> Observers::start(const ObserverOptions& options, const std::string& service_account,
                              Decisions decisions) {
  if (!options.coverage && !options.events && !options.tap_events) return {};
  const auto credentials =
      kube::in_cluster_credentials(config::process_environment, service_account);
  if (!credentials) {
    return Error{credentials.error().text +
                 " (it is not needed with --coverage, --events and --tap-events off)"};
  }
  tells_reviews_ = options.events;
  if (options.events || options.tap_events) {
    sender_ = std::make_unique<events::EventSender>(
        executor_, *credentials,
        config::process_environment("HOSTNAME").value_or("sidetap-webhook"), metrics_);
    sender_->start();
  }
  if (options.coverage) {
    coverage::CoverageConfig config{.credentials = *credentials};
    config.selector = options.coverage_selector;
    config.judge = std::move(decisions.judge);
    config.generation = std::move(decisions.generation);
    coverage_ = std::make_unique<coverage::CoverageWatch>(std::move(config), metrics_);
    coverage_->start();
  }
  return {};
}

void Observers::watch(registry::Server& registry) {
  registry_ = &registry;
  look();
}

void Observers::look() {
  timer_.expires_after(kLookPeriod);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || registry_ == nullptr) return;
    registry_->with_view([this](const registry::View& view) {
      monitor_.look(conditions_of(view.inventory), registry::wall_time(),
                    [this](events::Event event) { return sender_->offer(std::move(event)); });
    });
    look();
  });
}

void Observers::stop() {
  registry_ = nullptr;
  timer_.cancel();
  if (sender_) sender_->stop();
  if (coverage_) coverage_->stop();
}

void Observers::reviewed(const admission::Answer& answer) {
  if (!tells_reviews_) return;
  if (auto event = events::event_of(answer)) sender_->offer(*std::move(event));
}

std::shared_ptr<const coverage::Store> Observers::coverage_store() const {
  return coverage_ ? coverage_->store() : nullptr;
}

std::function<std::string()> Observers::coverage_text() const {
  if (!coverage_) return {};
  return [store = coverage_->store()] {
    const auto latest = store->latest();
    return latest ? coverage::json_of(*latest) + "\n" : std::string();
  };
}

}  // namespace sidetap::webhook
