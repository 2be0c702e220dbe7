#include "sidecar/session/waiting.h"

#include <memory>
#include <system_error>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidetap::session {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

/// What a look-up that nobody waits for any more may still write to.
struct LookUp {
  explicit LookUp(const asio::any_io_executor& executor) : resolver(executor), done(executor) {
    done.expires_at(asio::steady_timer::time_point::max());
  }
  tcp::resolver resolver;
  asio::steady_timer done;
  boost::system::error_code error;
  std::vector<tcp::endpoint> endpoints;
  bool finished = false;
};

}  // namespace

Error system_error(std::string_view what, int number) {
  return Error{std::string(what) + ": " + std::system_category().message(number)};
}

AsyncFd::AsyncFd(const asio::any_io_executor& executor, net::UniqueFd fd)
    : descriptor_(executor, fd.release()) {
  descriptor_.native_non_blocking(true);
}

asio::awaitable<Wait> AsyncFd::wait(Direction direction, Limit limit, Interruption* interruption) {
  if (interruption != nullptr && interruption->requested()) co_return Wait::kInterrupted;
  const Interruption::Scope scope(interruption, [this] { descriptor_.cancel(); });
  // Shared with the timer's handler, which may run after this coroutine has gone on.
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
  co_await descriptor_.async_wait(direction, kTuple);
  const bool late = timed_out->value();
  timed_out->reset();
  if (interruption != nullptr && interruption->requested()) co_return Wait::kInterrupted;
  co_return late ? Wait::kTimedOut : Wait::kReady;
}

asio::awaitable<Wait> sleep(asio::any_io_executor executor, std::chrono::milliseconds time,
                            Interruption* interruption) {
  if (interruption != nullptr && interruption->requested()) co_return Wait::kInterrupted;
  asio::steady_timer timer(executor, time);
  const Interruption::Scope scope(interruption, [&timer] { timer.cancel(); });
  co_await timer.async_wait(kTuple);
  co_return interruption != nullptr && interruption->requested() ? Wait::kInterrupted
                                                                 : Wait::kTimedOut;
}

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(asio::any_io_executor executor,
                                                            const net::HostPort& name,
                                                            Interruption* interruption) {
  boost::system::error_code no_address;
  const auto address = asio::ip::make_address(name.host, no_address);
  if (!no_address) co_return std::vector<tcp::endpoint>{{address, name.port}};
  const auto look_up = std::make_shared<LookUp>(executor);
  look_up->resolver.async_resolve(
      name.host, std::to_string(name.port),
      [look_up](const boost::system::error_code& error, const tcp::resolver::results_type& found) {
        look_up->error = error;
        for (const auto& entry : found) look_up->endpoints.push_back(entry.endpoint());
        look_up->finished = true;
        look_up->done.cancel();
      });
  {
    const Interruption::Scope scope(interruption, [&look_up] { look_up->done.cancel(); });
    if (!look_up->finished) co_await look_up->done.async_wait(kTuple);
  }
  if (!look_up->finished) co_return Error{"look-up of " + name.host + ": interrupted"};
  if (look_up->error) {
    co_return Error{"look-up of " + name.host + ": " + look_up->error.message()};
  }
  if (look_up->endpoints.empty()) co_return Error{"look-up of " + name.host + ": no address"};
  co_return std::move(look_up->endpoints);
}

}  // namespace sidetap::session
