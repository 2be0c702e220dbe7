// What the webhook watches besides reviews and taps, and what it reports: coverage, events about
// reviews, and events about taps without a sensor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/result.h"
#include "shared/telemetry/metrics.h"
#include "webhook/admission/answer.h"
#include "webhook/coverage/coverage_watch.h"
#include "webhook/events/event_sender.h"
#include "webhook/events/tap_monitor.h"
#include "webhook/registry/server.h"
#include "webhook/serve/serve_options.h"

namespace sidetap::webhook {

/// Use it on the thread of its executor, except reviewed().
class Observers {
 public:
  /// How the webhook decides now. Called on another thread.
  struct Decisions {
    coverage::Judge judge;
    std::function<std::uint64_t()> generation;  ///< Changes with what `judge` decides by.
  };

  /// `metrics` must outlive this object, and this object whatever `executor` still runs.
  Observers(boost::asio::any_io_executor executor, telemetry::MetricsRegistry& metrics);

  /// Starts what the options ask for. Call it before the first reviewed(). Errors: the process does
  /// not know its API server.
  Result<void> start(const ObserverOptions& options, const std::string& service_account,
                     Decisions decisions);
  /// Starts to look at the registry's taps, until stop(); then the registry may end.
  void watch(registry::Server& registry);
  /// Call it when there are no more reviews.
  void stop();

  /// Tells the owner of the reviewed pod if there is something to tell. Any thread.
  void reviewed(const admission::Answer& answer);

  /// Null without coverage.
  std::shared_ptr<const coverage::Store> coverage_store() const;
  /// Gives the text of the latest summary, or an empty one while there is none. Null without
  /// coverage. The function may be called on any thread.
  std::function<std::string()> coverage_text() const;

 private:
  void look();

  const boost::asio::any_io_executor executor_;
  telemetry::MetricsRegistry& metrics_;
  boost::asio::steady_timer timer_;
  bool tells_reviews_ = false;
  std::unique_ptr<coverage::CoverageWatch> coverage_;
  std::unique_ptr<events::EventSender> sender_;
  registry::Server* registry_ = nullptr;
  events::TapMonitor monitor_;  // for the registry's thread
};

}  // namespace sidetap::webhook
