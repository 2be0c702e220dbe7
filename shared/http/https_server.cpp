#include "shared/http/https_server.h"

#include <algorithm>
#include <future>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/http/http_session.h"
#include "shared/http/listener.h"
#include "shared/telemetry/log.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = HttpSession::Clock;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

std::chrono::milliseconds sweep_period(const ServerLimits& limits) {
  const auto least = std::min({limits.handshake, limits.idle, limits.header, limits.body,
                               limits.write, limits.finish, limits.stuck});
  return std::clamp(least / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(1000));
}

/// An event loop on its own thread, with its connections.
class Worker {
 public:
  Worker(SessionShared& shared, const TlsStore& tls)
      : shared_(shared), tls_(tls), timer_(context_) {}

  asio::io_context& context() { return context_; }
  std::size_t load() const { return load_; }
  bool runs() const { return Clock::now() - last_sweep_.load() < shared_.limits.stuck; }

  void run() {
    last_sweep_ = Clock::now();
    asio::co_spawn(context_, sweep(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  /// Any thread. The connection counts as ours at once.
  void take(tcp::socket socket) {
    ++load_;
    asio::co_spawn(context_, serve(std::move(socket)), asio::detached);
  }
  void finish() {
    asio::post(context_, [this] {
      finish_at_ = Clock::now() + shared_.limits.finish;
      for (HttpSession* session : sessions_) session->end_if_idle();
      timer_.cancel();
    });
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  void abandon() {
    context_.stop();
    join();
  }

 private:
  asio::awaitable<void> serve(tcp::socket socket) {
    try {
      HttpSession session(std::move(socket), *tls_.current(), shared_);
      const auto at = sessions_.insert(sessions_.end(), &session);
      try {
        co_await session.run();
      } catch (...) {
        sessions_.erase(at);
        throw;
      }
      sessions_.erase(at);
    } catch (const std::exception& fault) {
      telemetry::error("a connection failed", {{"reason", fault.what()}});
    }
    --load_;
    --shared_.counters.connections;
    if (finish_at_ && load_ == 0) timer_.cancel();
  }

  asio::awaitable<void> sweep() {
    const auto period = sweep_period(shared_.limits);
    while (!finish_at_ || load_ > 0) {
      timer_.expires_after(period);
      co_await timer_.async_wait(kTuple);
      const auto now = Clock::now();
      last_sweep_ = now;
      const bool over = finish_at_ && now >= *finish_at_;
      for (HttpSession* session : sessions_) over ? session->cut() : session->sweep(now);
    }
  }

  SessionShared& shared_;
  const TlsStore& tls_;
  std::atomic<std::size_t> load_{0};
  std::atomic<Clock::time_point> last_sweep_{};
  std::list<HttpSession*> sessions_;
  std::optional<Clock::time_point> finish_at_;
  asio::io_context context_{1};
  asio::steady_timer timer_;
  std::thread thread_;
};

}  // namespace

struct HttpsServer::Impl {
  SessionShared shared;
  net::HostPort listen_address;
  unsigned threads;
  const TlsStore& tls;
  std::vector<std::unique_ptr<Worker>> workers = {};
  std::optional<tcp::acceptor> acceptor = {};
  std::promise<void> accepting_ended = {};

  Worker& least_loaded() {
    return **std::min_element(workers.begin(), workers.end(),
                              [](const auto& a, const auto& b) { return a->load() < b->load(); });
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(acceptor->get_executor());
    for (;;) {
      Worker& worker = least_loaded();
      auto [error, socket] = co_await acceptor->async_accept(
          asio::any_io_executor(worker.context().get_executor()), kTuple);
      if (!error) {
        ++shared.counters.accepted;
        if (shared.counters.connections >= static_cast<std::int64_t>(shared.limits.connections)) {
          ++shared.counters.refused;
          continue;
        }
        ++shared.counters.connections;
        worker.take(std::move(socket));
      } else if (shared.stopping) {
        break;
      } else {
        // Such as a full table of descriptors: it passes, the listener stays.
        telemetry::warn("cannot accept a connection", {{"reason", error.message()}});
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kTuple);
      }
    }
    accepting_ended.set_value();
  }
};

HttpsServer::HttpsServer(net::HostPort listen, unsigned threads, ServerLimits limits,
                         const TlsStore& tls, HttpHandler handler)
    : impl_(new Impl{.shared = {.limits = limits,
                                .handler = std::move(handler),
                                .budget = MemoryBudget(limits.held_bytes)},
                     .listen_address = std::move(listen),
                     .threads = threads,
                     .tls = tls}) {}

HttpsServer::~HttpsServer() {
  for (const auto& worker : impl_->workers) worker->abandon();
}

Result<std::uint16_t> HttpsServer::start() {
  ignore_sigpipe();
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned i = 0; i < std::max(1u, impl_->threads); ++i) {
    workers.push_back(std::make_unique<Worker>(impl_->shared, impl_->tls));
  }
  auto acceptor = listen(workers.front()->context().get_executor(), impl_->listen_address);
  if (!acceptor) return acceptor.error();
  const std::uint16_t port = acceptor->local_endpoint().port();
  impl_->acceptor.emplace(std::move(*acceptor));
  impl_->workers = std::move(workers);
  asio::co_spawn(impl_->acceptor->get_executor(), impl_->accept(), asio::detached);
  for (const auto& worker : impl_->workers) worker->run();
  return port;
}

void HttpsServer::drain() { impl_->shared.draining = true; }

void HttpsServer::stop() {
  if (impl_->workers.empty() || impl_->shared.stopping.exchange(true)) return;
  drain();
  asio::post(impl_->acceptor->get_executor(), [impl = impl_.get()] {
    boost::system::error_code ignored;
    impl->acceptor->close(ignored);
  });
  // Every accepted connection has its worker before the first worker may end.
  impl_->accepting_ended.get_future().wait();
  for (const auto& worker : impl_->workers) worker->finish();
  for (const auto& worker : impl_->workers) worker->join();
}

bool HttpsServer::responsive() const {
  return std::all_of(impl_->workers.begin(), impl_->workers.end(),
                     [](const auto& worker) { return worker->runs(); });
}

const ServerCounters& HttpsServer::counters() const { return impl_->shared.counters; }

}  // namespace sidetap::http
