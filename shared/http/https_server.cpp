#include "shared/http/https_server.h"

#include <algorithm>
#include <future>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "shared/async/accept_loop.h"
#include "shared/async/task_group.h"
#include "shared/async/waiting.h"
#include "shared/http/http_session.h"
#include "shared/http/listener.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = HttpSession::Clock;

std::chrono::milliseconds sweep_period(const ServerLimits& limits) {
  const auto least = std::min({limits.handshake, limits.idle, limits.header, limits.body,
                               limits.drain_idle, limits.write, limits.finish, limits.stuck});
  return std::clamp(least / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(1000));
}

/// An event loop on its own thread, with its connections.
class Worker {
 public:
  Worker(SessionShared& shared, const TlsStore& tls, telemetry::MetricsRegistry* metrics)
      : shared_(shared), tls_(tls), tasks_(context_.get_executor(), metrics) {}

  asio::io_context& context() { return context_; }
  async::TaskGroup& tasks() { return tasks_; }
  std::size_t load() const { return load_; }
  bool runs() const { return Clock::now() - last_sweep_.load() < shared_.limits.stuck; }

  void run() {
    last_sweep_ = Clock::now();
    tasks_.supervise("https-sweep", [this] { return sweep(); });
    thread_ = std::thread([this] { context_.run(); });
  }
  /// Any thread. The connection belongs to this worker at once.
  void take(tcp::socket socket) {
    ++load_;
    asio::post(context_, [this, taken = std::move(socket)]() mutable {
      tasks_.spawn("https-connection", serve(std::move(taken)),
                   [this](const Result<void>&) { left(); });
    });
  }
  void finish() {
    asio::post(context_, [this] {
      finish_at_ = Clock::now() + shared_.limits.finish;
      for (HttpSession* session : sessions_) session->end_if_idle();
      look_now_.request();
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
    HttpSession session(std::move(socket), *tls_.current(), shared_);
    const Listed listed(sessions_, session);
    co_await session.run();
  }

  void left() {
    --load_;
    --shared_.counters.connections;
    if (finish_at_ && load_ == 0) look_now_.request();
  }

  asio::awaitable<void> sweep() {
    const auto period = sweep_period(shared_.limits);
    while (!finish_at_ || load_ > 0) {
      co_await async::sleep(context_.get_executor(), period, &look_now_);
      look_now_.clear();
      const auto now = Clock::now();
      last_sweep_ = now;
      const bool over = finish_at_ && now >= *finish_at_;
      for (HttpSession* session : sessions_) over ? session->cut() : session->sweep(now);
    }
  }

  using Sessions = std::list<HttpSession*>;
  /// Keeps a session in the list to sweep while this object exists.
  class Listed {
   public:
    Listed(Sessions& sessions, HttpSession& session)
        : sessions_(sessions), place_(sessions.insert(sessions.end(), &session)) {}
    ~Listed() { sessions_.erase(place_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

   private:
    Sessions& sessions_;
    Sessions::iterator place_;
  };

  SessionShared& shared_;
  const TlsStore& tls_;
  std::atomic<std::size_t> load_{0};
  std::atomic<Clock::time_point> last_sweep_{};
  Sessions sessions_;
  std::optional<Clock::time_point> finish_at_;
  async::Interruption look_now_;
  asio::io_context context_{1};
  async::TaskGroup tasks_;
  std::thread thread_;
};

}  // namespace

struct HttpsServer::Impl {
  SessionShared shared;
  net::HostPort listen_address;
  unsigned threads;
  const TlsStore& tls;
  telemetry::MetricsRegistry* metrics;
  std::vector<std::unique_ptr<Worker>> workers = {};
  Worker* next = nullptr;  ///< Has the executor of the socket that is accepted next.
  std::optional<async::AcceptLoop> listener = {};
  std::promise<void> accepting_ended = {};

  asio::any_io_executor choose_next() {
    const auto chosen =
        std::min_element(workers.begin(), workers.end(),
                         [](const auto& a, const auto& b) { return a->load() < b->load(); });
    next = chosen->get();
    return next->context().get_executor();
  }

  void take(tcp::socket socket) {
    ++shared.counters.accepted;
    if (shared.counters.connections >= static_cast<std::int64_t>(shared.limits.connections)) {
      ++shared.counters.refused;
      return;
    }
    ++shared.counters.connections;
    next->take(std::move(socket));
  }
};

HttpsServer::HttpsServer(net::HostPort listen, unsigned threads, ServerLimits limits,
                         const TlsStore& tls, HttpHandler handler,
                         telemetry::MetricsRegistry* metrics)
    : impl_(new Impl{.shared = {.limits = limits,
                                .handler = std::move(handler),
                                .budget = MemoryBudget(limits.held_bytes)},
                     .listen_address = std::move(listen),
                     .threads = threads,
                     .tls = tls,
                     .metrics = metrics}) {}

HttpsServer::~HttpsServer() {
  for (const auto& worker : impl_->workers) worker->abandon();
}

Result<std::uint16_t> HttpsServer::start() {
  ignore_sigpipe();
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned i = 0; i < std::max(1u, impl_->threads); ++i) {
    workers.push_back(std::make_unique<Worker>(impl_->shared, impl_->tls, impl_->metrics));
  }
  auto acceptor = listen(workers.front()->context().get_executor(), impl_->listen_address);
  if (!acceptor) return acceptor.error();
  const std::uint16_t port = acceptor->local_endpoint().port();
  Impl* const impl = impl_.get();
  impl->workers = std::move(workers);
  impl->listener.emplace(
      std::move(*acceptor), "https-accept",
      [impl](tcp::socket socket) { impl->take(std::move(socket)); },
      [impl] { return impl->choose_next(); });
  impl->listener->start(impl->workers.front()->tasks(),
                        [impl](const Result<void>&) { impl->accepting_ended.set_value(); });
  for (const auto& worker : impl_->workers) worker->run();
  return port;
}

void HttpsServer::drain() { impl_->shared.draining = true; }

void HttpsServer::stop() {
  if (impl_->workers.empty() || impl_->shared.stopping.exchange(true)) return;
  drain();
  asio::post(impl_->workers.front()->context(), [impl = impl_.get()] { impl->listener->stop(); });
  // Every accepted connection must have its worker before the first worker ends.
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
