// Sends events to the API server, at the pace of an EventQueue.
//
// Events are a courtesy: one that cannot be sent is dropped and counted. The log names a failure
// once, until an event is sent again.
#pragma once

#include <mutex>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/interruption.h"
#include "shared/async/task_group.h"
#include "shared/kube/client.h"
#include "shared/telemetry/metrics.h"
#include "webhook/events/event.h"
#include "webhook/events/event_queue.h"

namespace sidetap::webhook::events {

class EventSender {
 public:
  /// `executor` runs on one thread. `instance` names this replica. `metrics` must outlive this
  /// object, and this object whatever `executor` still runs.
  EventSender(boost::asio::any_io_executor executor, kube::Credentials credentials,
              std::string instance, telemetry::MetricsRegistry& metrics, QueueLimits limits = {});

  /// On the executor's thread, as stop().
  void start();
  void stop();

  /// Sets the event's time and queues it. Takes microseconds, and waits for no network. Any thread.
  Outcome offer(Event event);

 private:
  struct Turn;
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> send(Event event);
  Turn next();
  void dropped(std::string_view reason);
  void failed(std::string_view reason, const std::string& text);

  const boost::asio::any_io_executor executor_;
  const std::string instance_;
  telemetry::MetricsRegistry& metrics_;
  kube::Client client_;
  async::TaskGroup tasks_;
  async::Interruption wake_;
  bool reported_ = false;
  std::mutex mutex_;
  EventQueue queue_;  // under the mutex
};

}  // namespace sidetap::webhook::events
