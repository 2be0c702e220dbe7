// Accepts connections from a listening socket, one after another, and survives every failure.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "shared/async/interruption.h"
#include "shared/async/task_group.h"
#include "shared/telemetry/log_throttle.h"

namespace sidetap::async {

/// Runs on the strand of the listener's executor. When accept() fails, for example because the
/// descriptor table is full, the loop logs the failure (throttled) and retries after a pause. An
/// exception from `accepted` costs only that connection; it is logged and counted like that of a
/// task.
class AcceptLoop {
 public:
  using Accepted = std::function<void(boost::asio::ip::tcp::socket socket)>;
  /// The executor of the next connection's socket.
  using NextExecutor = std::function<boost::asio::any_io_executor()>;
  /// Handles a failure of accept() and returns how long to wait before the next attempt, or nothing
  /// if it could not help.
  using Failed = std::function<std::optional<std::chrono::milliseconds>(
      const boost::system::error_code& error)>;

  /// `name` is the task's name, as in TaskGroup::spawn(). `accepted` may be called once more after
  /// stop(), for a connection that was accepted at that moment. Without `next`, sockets use the
  /// listener's executor. Without `failed`, the loop waits after each failure.
  AcceptLoop(boost::asio::ip::tcp::acceptor listener, std::string_view name, Accepted accepted,
             NextExecutor next = {}, Failed failed = {});

  /// Starts the loop as a task of `tasks`; call it once. This object and `tasks` must outlive the
  /// task. `ended` is as in TaskGroup::spawn().
  void start(TaskGroup& tasks, TaskGroup::Ended ended = {});
  /// Closes the listener; the task ends.
  void stop();
  /// The bound port. Call it before stop().
  std::uint16_t port() const { return listener_.local_endpoint().port(); }

 private:
  boost::asio::awaitable<void> run(TaskGroup& tasks);

  boost::asio::ip::tcp::acceptor listener_;
  const std::string_view name_;
  const Accepted accepted_;
  const NextExecutor next_;
  const Failed failed_;
  Interruption stopped_;
  telemetry::LogThrottle failures_;
};

}  // namespace sidetap::async
