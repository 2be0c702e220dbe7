#include "webhook/events/event_sender.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>
#include <prometheus/counter.h>

#include "shared/async/waiting.h"
#include "shared/telemetry/log.h"

namespace sidetap::webhook::events {
namespace {

namespace asio = boost::asio;

const telemetry::MetricSpec kSent{"sidetap_events_sent_total", telemetry::MetricType::kCounter,
                                  "Kubernetes Events that the API server accepted."};
const telemetry::MetricSpec kDropped{
    "sidetap_events_dropped_total", telemetry::MetricType::kCounter,
    "Kubernetes Events that were not sent, by reason: duplicate (also of another replica), "
    "too-soon, and full protect the API server; refused and unreachable are its failures."};

constexpr unsigned kConflict = 409;

}  // namespace

/// What the sender does next: send an event, or wait.
struct EventSender::Turn {
  std::optional<Event> event;
  std::chrono::milliseconds wait{0};
};

EventSender::EventSender(asio::any_io_executor executor, kube::Credentials credentials,
                         std::string instance, telemetry::MetricsRegistry& metrics,
                         QueueLimits limits)
    : executor_(executor),
      instance_(std::move(instance)),
      metrics_(metrics),
      client_(executor, std::move(credentials)),
      tasks_(executor, &metrics),
      queue_(limits) {
  metrics_.counter(kSent);
}

void EventSender::start() {
  tasks_.supervise("events", [this] { return run(); });
}

void EventSender::stop() { tasks_.cancel(); }

Outcome EventSender::offer(Event event) {
  event.at = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  Outcome outcome = Outcome::kFull;
  {
    const std::lock_guard lock(mutex_);
    outcome = queue_.offer(std::move(event), std::chrono::steady_clock::now());
  }
  if (outcome == Outcome::kQueued) {
    asio::post(executor_, [this] { wake_.request(); });
  } else {
    dropped(name_of(outcome));
  }
  return outcome;
}

EventSender::Turn EventSender::next() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  Turn turn;
  turn.event = queue_.next(now);
  if (!turn.event) turn.wait = queue_.wait(now);
  return turn;
}

asio::awaitable<void> EventSender::run() {
  for (;;) {
    // Before the look into the queue: what comes after that wakes it.
    wake_.clear();
    Turn turn = next();
    if (turn.event) {
      Event event = *std::move(turn.event);
      co_await send(std::move(event));
    } else {
      co_await async::sleep(executor_, turn.wait, &wake_);
    }
  }
}

asio::awaitable<void> EventSender::send(Event event) {
  std::string path = path_of(event);
  nlohmann::json object = object_of(event, instance_);
  const auto answer = co_await client_.create(std::move(path), std::move(object));
  if (!answer) {
    failed("unreachable", answer.error().text);
  } else if (answer->status == kConflict) {
    dropped(name_of(Outcome::kDuplicate));
  } else if (!answer->ok()) {
    failed("refused", answer->describe());
  } else {
    metrics_.counter(kSent).Increment();
    if (std::exchange(reported_, false)) telemetry::info("sending events again");
  }
}

void EventSender::dropped(std::string_view reason) {
  metrics_.counter(kDropped, {{"reason", std::string(reason)}}).Increment();
}

void EventSender::failed(std::string_view reason, const std::string& text) {
  dropped(reason);
  if (std::exchange(reported_, true)) return;
  telemetry::warn("cannot send an event; trying again with the next", {{"reason", text}});
}

}  // namespace sidetap::webhook::events
