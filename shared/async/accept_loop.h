// Connections taken from a listening socket, one after the other, whatever happens.
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

/// The strand of the listener's executor. A failure of accept(), such as a full table of
/// descriptors, is logged (not each time) and tried again after a pause; what `accepted` throws
/// costs that connection only, and is logged and counted as of a task.
class AcceptLoop {
 public:
  using Accepted = std::function<void(boost::asio::ip::tcp::socket socket)>;
  /// The executor of the next connection's socket.
  using NextExecutor = std::function<boost::asio::any_io_executor()>;
  /// Does something about a failure, and says how long to wait until the next try. Nothing: it
  /// could not.
  using Failed = std::function<std::optional<std::chrono::milliseconds>(
      const boost::system::error_code& error)>;

  /// `name` is that of the task, as in TaskGroup::spawn(). `accepted` may be called once more after
  /// stop(), for a connection that was taken in that moment. No `next`: the listener's executor. No
  /// `failed`: nothing can be done but wait.
  AcceptLoop(boost::asio::ip::tcp::acceptor listener, std::string_view name, Accepted accepted,
             NextExecutor next = {}, Failed failed = {});

  /// Begins. This object and `tasks` outlive the task; `ended` as there. Once.
  void start(TaskGroup& tasks, TaskGroup::Ended ended = {});
  /// Closes the listener; the task ends.
  void stop();
  /// The port that was bound. Before stop().
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
