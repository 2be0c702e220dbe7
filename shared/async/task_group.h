// Coroutines with an owner: named, counted and logged when they throw, cancelled and waited for.
//
// Every coroutine of the programs is begun here and nowhere else, so that none ends unseen. What
// has to hold when one has failed (nothing published that is not known, no capture left behind) is
// said where it is begun, in its `ended`.
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

/// One strand: that of its executor. A task that throws is logged with its name and the exception's
/// text, and counted in sidetap_task_failures_total{task="NAME"}. That a task ends because it was
/// cancelled is no failure.
class TaskGroup {
 public:
  /// How a task ended; the Error is the text of what it threw. What this function itself throws is
  /// logged and counted in the same way.
  using Ended = std::function<void(const Result<void>& outcome)>;
  using Work = std::function<boost::asio::awaitable<void>()>;

  /// `metrics` may be null, else it outlives the tasks.
  TaskGroup(boost::asio::any_io_executor executor, telemetry::MetricsRegistry* metrics);
  /// Tasks that still run go on until they end or their context is destroyed, and are still logged
  /// and counted; but no `ended` is called any more. Where a task refers to its owner, let `ended`
  /// hold the owner, or cancel and wait.
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// `name`, for the log and the metric, is of static storage and one of few.
  void spawn(std::string_view name, boost::asio::awaitable<void> work, Ended ended = {});
  /// For what must go on: `work` is called anew, after waits that grow, whenever it has thrown, and
  /// `failed` is told of each time. The task ends when `work` returns, and with cancel() or wait().
  void supervise(std::string_view name, Work work, Ended failed = {}, BackoffBounds bounds = {});
  /// To be called for what a callback of such a task has thrown, where the task goes on.
  void failed(std::string_view name, const std::exception_ptr& fault);

  /// Asks every task to end: what it waits for ends with an error, and its next co_await throws.
  void cancel();
  /// Until every task has ended, or `limit` is over: then false. From here on, supervised work that
  /// throws is not begun anew. One caller at a time, and none of the group's own tasks.
  boost::asio::awaitable<bool> wait(std::chrono::milliseconds limit);
  std::size_t running() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Runs `work` on `context`, with all that it begins, until nothing is left to do. What `work`
/// throws comes out here.
void run_to_end(boost::asio::io_context& context, boost::asio::awaitable<void> work);

}  // namespace sidetap::async
