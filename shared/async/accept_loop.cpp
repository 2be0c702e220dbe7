#include "shared/async/accept_loop.h"

#include <chrono>
#include <exception>
#include <utility>

#include <boost/asio/error.hpp>

#include "shared/async/tuple.h"
#include "shared/async/waiting.h"
#include "shared/telemetry/log.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// Without a pause, the cause would make accept() fail again at once.
constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::seconds kLogPeriod{10};

}  // namespace

AcceptLoop::AcceptLoop(tcp::acceptor listener, std::string_view name, Accepted accepted,
                       NextExecutor next, Failed failed)
    : listener_(std::move(listener)),
      name_(name),
      accepted_(std::move(accepted)),
      next_(std::move(next)),
      failed_(std::move(failed)),
      failures_(1, kLogPeriod) {}

void AcceptLoop::start(TaskGroup& tasks, TaskGroup::Ended ended) {
  tasks.spawn(name_, run(tasks), std::move(ended));
}

void AcceptLoop::stop() {
  stopped_.request();
  boost::system::error_code ignored;
  listener_.close(ignored);
}

asio::awaitable<void> AcceptLoop::run(TaskGroup& tasks) {
  while (!stopped_.requested()) {
    const asio::any_io_executor executor =
        next_ ? next_() : asio::any_io_executor(listener_.get_executor());
    auto [error, socket] = co_await listener_.async_accept(executor, kTuple);
    if (!error) {
      try {
        accepted_(std::move(socket));
      } catch (...) {
        tasks.failed(name_, std::current_exception());
      }
      continue;
    }
    if (stopped_.requested() || error == asio::error::operation_aborted) break;
    if (const auto kept_back = failures_.admit()) {
      telemetry::warn(
          "cannot accept a connection; trying again",
          {{"listener", name_}, {"reason", error.message()}, {"not_logged", *kept_back}});
    }
    const auto pause = failed_ ? failed_(error) : std::nullopt;
    co_await sleep(listener_.get_executor(), pause.value_or(kPause), &stopped_);
  }
}

}  // namespace sidetap::async
