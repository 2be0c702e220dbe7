#include "shared/async/task_group.h"

#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <prometheus/counter.h>

#include "shared/async/caught.h"
#include "shared/async/waiting.h"
#include "shared/telemetry/log.h"
#include "shared/telemetry/log_throttle.h"
#include "shared/telemetry/metrics.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

const telemetry::MetricSpec kFailures{
    "sidetap_task_failures_total", telemetry::MetricType::kCounter,
    "Internal tasks that failed unexpectedly, by task; the log has the reason."};

}  // namespace

/// Kept alive by the tasks.
struct TaskGroup::State : std::enable_shared_from_this<State> {
  struct Task {
    explicit Task(std::string_view the_name) : name(the_name) {}
    const std::string_view name;
    asio::cancellation_signal end;
    Interruption closing;  // ends the wait before supervised work is begun anew
    bool cancelled = false;
    std::list<std::shared_ptr<Task>>::iterator place;
  };

  State(asio::any_io_executor the_executor, telemetry::MetricsRegistry* the_metrics)
      : executor(std::move(the_executor)), metrics(the_metrics) {}

  std::shared_ptr<Task> add(std::string_view name) {
    count(name, 0);  // the metric exists before the first failure
    auto task = std::make_shared<Task>(name);
    task->place = tasks.insert(tasks.end(), task);
    return task;
  }

  void start(const std::shared_ptr<Task>& task, asio::awaitable<void> work, Ended ended) {
    asio::co_spawn(
        executor, std::move(work),
        asio::bind_cancellation_slot(
            task->end.slot(), [self = shared_from_this(), task, ended = std::move(ended)](
                                  const std::exception_ptr& e) { self->finish(*task, e, ended); }));
  }

  static asio::awaitable<void> keep_up(std::shared_ptr<State> self, std::shared_ptr<Task> task,
                                       Work work, Ended failed, BackoffBounds bounds) {
    Backoff backoff(bounds);
    for (;;) {
      const auto begin = steady_clock::now();
      std::exception_ptr fault;
      try {
        co_await work();
        co_return;
      } catch (...) {
        fault = std::current_exception();
      }
      if (task->cancelled && is_cancellation(fault)) co_return;
      self->report(task->name, fault);
      self->tell(task->name, failed, Error{reason_of(fault)});
      if (task->cancelled || self->closing || self->abandoned) co_return;
      backoff.session_ended(
          std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin));
      const auto pause = backoff.wait(self->chance());
      co_await sleep(self->executor, pause, &task->closing);
      if (task->cancelled || self->closing || self->abandoned) co_return;
    }
  }

  void finish(Task& task, const std::exception_ptr& fault, const Ended& ended) {
    tasks.erase(task.place);
    Result<void> outcome;
    if (fault && !(task.cancelled && is_cancellation(fault))) {
      report(task.name, fault);
      outcome = Error{reason_of(fault)};
    }
    tell(task.name, ended, outcome);
    quiet.request();
  }

  void tell(std::string_view name, const Ended& ended, const Result<void>& outcome) {
    if (!ended || abandoned) return;
    try {
      ended(outcome);
    } catch (...) {
      report(name, std::current_exception());
    }
  }

  void report(std::string_view name, const std::exception_ptr& fault) {
    count(name, 1);
    // A peer may be able to make the task of each connection fail.
    if (const auto kept_back = logged.admit()) {
      telemetry::error("an internal task failed",
                       {{"task", name}, {"reason", reason_of(fault)}, {"not_logged", *kept_back}});
    }
  }

  void count(std::string_view name, double by) {
    if (metrics == nullptr) return;
    prometheus::Counter*& counter = counters[name];
    if (counter == nullptr) counter = &metrics->counter(kFailures, {{"task", std::string(name)}});
    if (by > 0) counter->Increment(by);
  }

  const asio::any_io_executor executor;
  telemetry::MetricsRegistry* const metrics;
  std::list<std::shared_ptr<Task>> tasks;
  std::map<std::string_view, prometheus::Counter*> counters;
  Interruption quiet;  // requested whenever a task ends
  Chance chance;
  telemetry::LogThrottle logged{20, std::chrono::seconds(10)};
  bool closing = false;
  bool abandoned = false;
};

TaskGroup::TaskGroup(asio::any_io_executor executor, telemetry::MetricsRegistry* metrics)
    : state_(std::make_shared<State>(std::move(executor), metrics)) {}

TaskGroup::~TaskGroup() { state_->abandoned = true; }

void TaskGroup::spawn(std::string_view name, asio::awaitable<void> work, Ended ended) {
  state_->start(state_->add(name), std::move(work), std::move(ended));
}

void TaskGroup::supervise(std::string_view name, Work work, Ended failed, BackoffBounds bounds) {
  const auto task = state_->add(name);
  state_->start(task, State::keep_up(state_, task, std::move(work), std::move(failed), bounds), {});
}

void TaskGroup::failed(std::string_view name, const std::exception_ptr& fault) {
  state_->report(name, fault);
}

void TaskGroup::cancel() {
  // A copy, because a task that ends meanwhile leaves the list.
  const std::vector<std::shared_ptr<State::Task>> tasks(state_->tasks.begin(), state_->tasks.end());
  for (const auto& task : tasks) {
    task->cancelled = true;
    task->end.emit(asio::cancellation_type::terminal);
  }
}

asio::awaitable<bool> TaskGroup::wait(std::chrono::milliseconds limit) {
  const auto state = state_;
  state->closing = true;
  for (const auto& task : state->tasks) task->closing.request();
  const auto deadline = steady_clock::now() + limit;
  while (!state->tasks.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) co_return false;
    state->quiet.clear();
    co_await sleep(state->executor, left, &state->quiet);
  }
  co_return true;
}

std::size_t TaskGroup::running() const { return state_->tasks.size(); }

void run_to_end(asio::io_context& context, asio::awaitable<void> work) {
  std::exception_ptr thrown;
  asio::co_spawn(context, std::move(work),
                 [&thrown](const std::exception_ptr& fault) { thrown = fault; });
  context.restart();
  context.run();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace sidetap::async
