// Owns coroutines: names them, logs and counts those that throw, cancels them and waits for them.
//
// The programs start coroutines only here, so that none ends unnoticed. What must hold after a
// failure (for example, that no capture is left behind) is handled in `ended`, where the coroutine
// is started.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/result.h"

namespace boost::asio {
class io_context;
}
namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::async {

/// Use it on the strand of its executor. A task that throws is logged with its name and the
/// exception's text, and counted in sidetap_task_failures_total{task="NAME"}. A cancelled task is
/// not a failure.
class TaskGroup {
 public:
  /// Called when a task ends. An Error holds the text of the exception. An exception from this
  /// function is logged and counted in the same way.
  using Ended = std::function<void(const Result<void>& outcome)>;
  using Work = std::function<boost::asio::awaitable<void>()>;

  /// `metrics` may be null; otherwise it must outlive the tasks.
  TaskGroup(boost::asio::any_io_executor executor, telemetry::MetricsRegistry* metrics);
  /// Running tasks continue until they end or their context is destroyed. They are still logged and
  /// counted, but `ended` is no longer called. If a task refers to its owner, let `ended` hold the
  /// owner, or cancel and wait.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// `name` appears in the log and the metric. It must have static storage duration, and come from
  /// a small set.
  void spawn(std::string_view name, boost::asio::awaitable<void> work, Ended ended = {});
  /// Restarts `work`, after growing waits, each time that it throws, and calls `failed` each time.
  /// The task ends when `work` returns, or after cancel() or wait().
  void supervise(std::string_view name, Work work, Ended failed = {}, BackoffBounds bounds = {});
  /// Logs and counts an exception that a task's callback has thrown, where the task itself
  /// continues.
  void failed(std::string_view name, const std::exception_ptr& fault);

  /// Asks every task to end: its current wait ends with an error, and its next co_await throws.
  void cancel();
  /// Waits until every task has ended. Returns false if `limit` expires first. From now on,
  /// supervised work that throws is not restarted. One caller at a time, and never from one of the
  /// group's own tasks.
  boost::asio::awaitable<bool> wait(std::chrono::milliseconds limit);
  std::size_t running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Runs `work`, and everything that it starts, on `context` until nothing is left to do. Rethrows
/// what `work` throws.
void run_to_end(boost::asio::io_context& context, boost::asio::awaitable<void> work);

}  // namespace sidetap::async
