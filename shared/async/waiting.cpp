#include "shared/async/waiting.h"

#include <memory>

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/tuple.h"

namespace sidetap::async {
namespace {

namespace asio = boost::asio;

}  // namespace

asio::awaitable<Wait> sleep(asio::any_io_executor executor, std::chrono::milliseconds time,
                            Interruption* interruption) {
  if (interruption != nullptr && interruption->requested()) co_return Wait::kInterrupted;
  asio::steady_timer timer(executor, time);
  const Interruption::Scope scope(interruption, [&timer] { timer.cancel(); });
  const auto [error] = co_await timer.async_wait(kTuple);
  // A request may arrive after the timer has expired but before this coroutine resumes.
  const bool asked = interruption != nullptr && interruption->requested();
  co_return error || asked ? Wait::kInterrupted : Wait::kTimedOut;
}

AsyncFd::AsyncFd(const asio::any_io_executor& executor, net::UniqueFd fd)
    : descriptor_(executor, fd.release()) {
  descriptor_.native_non_blocking(true);
}

asio::awaitable<Wait> AsyncFd::wait(Direction direction, Limit limit, Interruption* interruption) {
  if (interruption != nullptr && interruption->requested()) co_return Wait::kInterrupted;
  const Interruption::Scope scope(interruption, [this] { descriptor_.cancel(); });
  // Shared with the timer's handler, which may run after this coroutine has resumed.
  const auto timed_out = std::make_shared<std::optional<bool>>(false);
  asio::steady_timer timer(descriptor_.get_executor());
  if (limit) {
    timer.expires_after(*limit);
    timer.async_wait([this, timed_out](const boost::system::error_code& error) {
      if (error || !timed_out->has_value()) return;
      *timed_out = true;
      descriptor_.cancel();
    });
  }
  const auto [error] = co_await descriptor_.async_wait(direction, kTuple);
  const bool late = timed_out->value();
  timed_out->reset();
  if (interruption != nullptr && interruption->requested()) co_return Wait::kInterrupted;
  if (late) co_return Wait::kTimedOut;
  co_return error == asio::error::operation_aborted ? Wait::kInterrupted : Wait::kReady;
}

}  // namespace sidetap::async
