#include "shared/async/answer.h"

#include <boost/asio/steady_timer.hpp>

#include "shared/async/tuple.h"

namespace sidetap::async {

namespace asio = boost::asio;

struct Arrival::State {
  explicit State(const asio::any_io_executor& executor)
      : timer(executor, asio::steady_timer::time_point::max()) {}
  bool here = false;
  asio::steady_timer timer;  // for the coroutine to wait at
};

Arrival::Arrival(const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(executor)) {}

std::function<void()> Arrival::callback() const {
  return [state = state_] {
    state->here = true;
    state->timer.cancel();
  };
}

asio::awaitable<void> Arrival::wait() const {
  const auto state = state_;
  // A wait that ends for a cancelled task comes before the one that throws.
  while (!state->here) co_await state->timer.async_wait(kTuple);
}

}  // namespace sidetap::async
