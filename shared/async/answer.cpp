#include "shared/async/answer.h"

#include "shared/async/waiting.h"

namespace sidetap::async {

namespace asio = boost::asio;

Arrival::Arrival(asio::any_io_executor executor) : executor_(std::move(executor)) {}

std::function<void()> Arrival::callback() const {
  return [here = here_] { here->request(); };
}

asio::awaitable<void> Arrival::wait() const {
  const auto here = here_;
  const auto executor = executor_;
  // The duration does not matter. In a cancelled task, one sleep ends early and the next one
  // throws.
  while (!here->requested()) co_await sleep(executor, std::chrono::hours(1), here.get());
}

asio::awaitable<void> Arrival::wait(std::chrono::milliseconds limit) const {
  const auto here = here_;
  co_await sleep(executor_, limit, here.get());
}

}  // namespace sidetap::async
