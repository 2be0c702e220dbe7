#include "webhook/registry/api_queue.h"

#include <chrono>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "shared/async/tuple.h"
#include "webhook/registry/metrics.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;

}  // namespace

/// One request that waits for its turn. Lives in the coroutine that makes it.
struct ApiQueue::Waiter {
  asio::steady_timer woken;  // never expires; cancelled to wake the coroutine
  kube::Client* client = nullptr;
  bool crowded_out = false;
};

ApiQueue::ApiQueue(asio::any_io_executor executor, const kube::Credentials& credentials,
                   ApiQueueConfig config, telemetry::MetricsRegistry& metrics)
    : executor_(std::move(executor)), metrics_(metrics), queue_(config.most_waiting) {
  clients_.reserve(config.connections);
  for (std::size_t i = 0; i < config.connections; ++i) {
    idle_.push_back(&clients_.emplace_back(executor_, credentials));
  }
  count_waiting();
}

asio::awaitable<ApiQueue::Turn> ApiQueue::wait_for_turn(std::optional<net::IpAddress> source) {
  const auto begin = std::chrono::steady_clock::now();
  Waiter waiter{asio::steady_timer(executor_, asio::steady_timer::time_point::max())};
  if (stopping_) co_return Turn{Borrowed(nullptr, GiveBack{this})};
  if (!idle_.empty()) {
    waiter.client = idle_.back();
    idle_.pop_back();
  } else {
    if (const auto given_up = queue_.push(source, &waiter)) {
      (*given_up)->crowded_out = true;
      (*given_up)->woken.cancel();
    }
    count_waiting();
    if (!waiter.crowded_out) co_await waiter.woken.async_wait(async::kTuple);
  }
  Turn turn{Borrowed(waiter.client, GiveBack{this}), waiter.crowded_out};
  if (turn.client) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
    metrics_.histogram(kCheckWait).Observe(waited.count());
  }
  co_return turn;
}

void ApiQueue::give_back(kube::Client* client) {
  const auto next = queue_.pop();
  if (!next) return idle_.push_back(client);
  (*next)->client = client;
  (*next)->woken.cancel();
  count_waiting();
}

void ApiQueue::count_waiting() {
  metrics_.gauge(kChecksWaiting).Set(static_cast<double>(queue_.size()));
}

void ApiQueue::stop() {
  stopping_ = true;
  while (const auto waiter = queue_.pop()) (*waiter)->woken.cancel();
  count_waiting();
  for (kube::Client& client : clients_) client.stop();
}

}  // namespace sidetap::webhook::registry
