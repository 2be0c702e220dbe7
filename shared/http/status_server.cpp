#include "shared/http/status_server.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/system/errc.hpp>
#include <fcntl.h>

#include "shared/async/accept_loop.h"
#include "shared/async/task_group.h"
#include "shared/async/tuple.h"
#include "shared/http/listener.h"
#include "shared/net/unique_fd.h"
#include "shared/telemetry/metrics.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostConnections = 32;
constexpr std::size_t kMostHeaderBytes = 4096;
constexpr auto kTimeout = std::chrono::seconds(5);
/// When descriptors are scarce, a connection lives at least this long before another replaces it.
constexpr auto kChance = std::chrono::milliseconds(50);

std::string answer(std::string_view status, std::string_view type, std::string_view body,
                   bool with_body) {
  std::string text = "HTTP/1.1 ";
  text.append(status).append("\r\nContent-Type: ").append(type);
  text.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  if (status.starts_with("405")) text.append("\r\nAllow: GET, HEAD");
  text.append("\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  if (with_body) text.append(body);
  return text;
}

}  // namespace

struct StatusServer::Impl : std::enable_shared_from_this<Impl> {
  struct Peer {
    explicit Peer(tcp::socket socket) : stream(std::move(socket)) {}
    beast::tcp_stream stream;
    const Clock::time_point since = Clock::now();
  };

  Impl(asio::any_io_executor executor, net::HostPort address, StatusHandlers given,
       telemetry::MetricsRegistry* metrics)
      : strand(asio::make_strand(std::move(executor))),
        listen_address(std::move(address)),
        handlers(std::move(given)),
        tasks(strand, metrics) {}

  asio::strand<asio::any_io_executor> strand;
  net::HostPort listen_address;
  StatusHandlers handlers;
  // Once started, the members below are accessed only on the strand.
  async::TaskGroup tasks;
  std::optional<async::AcceptLoop> listener;
  std::list<Peer> peers;  ///< Oldest first.
  net::UniqueFd reserve;  ///< For a connection that comes when no file is left.
  bool stopped = false;

  static std::string_view path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
  }

  std::string respond(beast::http::verb method, std::string_view path) const {
    constexpr std::string_view kPlain = "text/plain; charset=utf-8";
    const bool body = method != beast::http::verb::head;
    if (body && method != beast::http::verb::get) {
      return answer("405 Method Not Allowed", kPlain, "only GET and HEAD\n", true);
    }
    if (path == "/healthz") return answer("200 OK", kPlain, "ok\n", body);
    if (path == "/readyz") {
      const bool ready = !handlers.ready || handlers.ready();
      return ready ? answer("200 OK", kPlain, "ok\n", body)
                   : answer("503 Service Unavailable", kPlain, "not ready\n", body);
    }
    if (path == "/metrics" && handlers.metrics) {
      return answer("200 OK", telemetry::kMetricsContentType, handlers.metrics(), body);
    }
    return answer("404 Not Found", kPlain, "there are /healthz, /readyz and /metrics\n", body);
  }

  asio::awaitable<void> serve(beast::tcp_stream& stream) {
    // One time limit for the whole connection, which carries one small request.
    stream.expires_after(kTimeout);
    beast::flat_static_buffer<kMostHeaderBytes> buffer;
    beast::http::request_parser<beast::http::empty_body> parser;
    parser.header_limit(kMostHeaderBytes);
    auto [read_error, got] =
        co_await beast::http::async_read_header(stream, buffer, parser, async::kTuple);
    std::string reply;
    if (!read_error) {
      const auto& request = parser.get();
      const auto target = request.target();
      const std::string_view path = path_of({target.data(), target.size()});
      if (path == "/metrics" && handlers.refresh) co_await handlers.refresh();
      reply = respond(request.method(), path);
    } else if (read_error == beast::http::error::end_of_stream || stopped ||
               read_error.category() !=
                   beast::http::make_error_code(beast::http::error::bad_method).category()) {
      co_return;  // disconnected or too slow
    } else {
      reply =
          answer("400 Bad Request", "text/plain; charset=utf-8", read_error.message() + "\n", true);
    }
    if (stopped) co_return;
    auto [write_error, written] =
        co_await asio::async_write(stream, asio::buffer(reply), async::kTuple);
    if (write_error) co_return;
    // Closing with unread bytes would reset the connection before the answer arrives: read the
    // rest.
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    buffer.consume(buffer.size());
    for (;;) {
      auto [error, more] =
          co_await stream.async_read_some(buffer.prepare(buffer.max_size()), async::kTuple);
      if (error) co_return;
    }
  }

  void keep_reserve() {
    if (!reserve && !stopped) {
      reserve = net::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
  }

  /// Null if there is none. A closed peer may be in the list until its coroutine runs.
  Peer* oldest() {
    const auto found = std::find_if(peers.begin(), peers.end(),
                                    [](Peer& peer) { return peer.stream.socket().is_open(); });
    return found == peers.end() ? nullptr : &*found;
  }

  /// Frees a descriptor if none is left for a connection. Returns how long to wait for it.
  std::optional<std::chrono::milliseconds> make_room(const boost::system::error_code& error) {
    if (error != boost::system::errc::too_many_files_open &&
        error != boost::system::errc::too_many_files_open_in_system) {
      return std::nullopt;
    }
    if (Peer* const peer = oldest()) {
      const auto chance = peer->since + kChance - Clock::now();
      if (chance.count() > 0) return std::chrono::ceil<std::chrono::milliseconds>(chance);
      peer->stream.close();
    } else if (reserve) {
      reserve.reset();
    } else {
      return std::nullopt;
    }
    return std::chrono::milliseconds(0);
  }

  void take(tcp::socket socket) {
    keep_reserve();
    if (stopped) return;
    Peer* const first = oldest();
    if (peers.size() >= kMostConnections && first != nullptr) first->stream.close();
    const auto at = peers.emplace(peers.end(), std::move(socket));
    tasks.spawn("status-request", serve(at->stream),
                [self = shared_from_this(), at](const Result<void>&) {
                  self->peers.erase(at);
                  self->keep_reserve();
                });
  }

  void end() {
    stopped = true;
    if (listener) listener->stop();
    for (Peer& peer : peers) peer.stream.close();
    reserve.reset();
  }
};

StatusServer::StatusServer(asio::any_io_executor executor, net::HostPort listen,
                           StatusHandlers handlers, telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(listen), std::move(handlers),
                                   metrics)) {}

StatusServer::~StatusServer() { stop(); }

Result<std::uint16_t> StatusServer::start() {
  auto acceptor = listen(impl_->strand, impl_->listen_address);
  if (!acceptor) return acceptor.error();
  const std::uint16_t port = acceptor->local_endpoint().port();
  impl_->keep_reserve();
  impl_->listener.emplace(
      std::move(*acceptor), "status-accept",
      [impl = impl_.get()](tcp::socket socket) { impl->take(std::move(socket)); },
      async::AcceptLoop::NextExecutor(),
      [impl = impl_.get()](const boost::system::error_code& error) {
        return impl->make_room(error);
      });
  impl_->listener->start(impl_->tasks, [alive = impl_](const Result<void>&) {});
  return port;
}

void StatusServer::stop() {
  asio::dispatch(impl_->strand, [impl = impl_] { impl->end(); });
}

}  // namespace sidetap::http
