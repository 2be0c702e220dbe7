#include "shared/http/plain_server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/system/errc.hpp>
#include <fcntl.h>

#include "shared/async/accept_loop.h"
#include "shared/async/task_group.h"
#include "shared/async/tuple.h"
#include "shared/http/listener.h"
#include "shared/net/unique_fd.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

/// When descriptors are scarce, a connection lives at least this long before another replaces it.
constexpr auto kChance = std::chrono::milliseconds(50);
/// What a client may still send while its connection ends.
constexpr std::size_t kRestBytes = 4096;

std::string plain_head(const PlainAnswer& answer) {
  const auto reason = beast::http::obsolete_reason(beast::http::int_to_status(answer.status));
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " ";
  text.append(reason.data(), reason.size());
  text.append("\r\nContent-Type: ").append(answer.content_type);
  text.append("\r\n");
  if (answer.status != 304) {  // there, it would be that of the whole answer
    text.append("Content-Length: ");
    text.append(std::to_string(answer.body ? answer.body->size() : 0)).append("\r\n");
  }
  if (answer.status == 405) text.append("Allow: GET, HEAD\r\n");
  return text.append(answer.headers).append("Connection: close\r\n\r\n");
}

}  // namespace

PlainAnswer plain_text(unsigned status, std::string_view text) {
  PlainAnswer answer;
  answer.status = status;
  answer.body = std::make_shared<const std::string>(std::string(text) + "\n");
  return answer;
}

struct PlainServer::Impl : std::enable_shared_from_this<Impl> {
  struct Peer {
    explicit Peer(tcp::socket socket) : stream(std::move(socket)) {}
    beast::tcp_stream stream;
    const Clock::time_point since = Clock::now();
  };

  Impl(asio::any_io_executor executor, net::HostPort address, PlainLimits bounds,
       PlainHandler given, telemetry::MetricsRegistry* metrics)
      : strand(asio::make_strand(std::move(executor))),
        listen_address(std::move(address)),
        limits(bounds),
        handler(std::move(given)),
        tasks(strand, metrics) {}

  asio::strand<asio::any_io_executor> strand;
  net::HostPort listen_address;
  const PlainLimits limits;
  const PlainHandler handler;
  // Once started, the members below are accessed only on the strand.
  async::TaskGroup tasks;
  std::optional<async::AcceptLoop> listener;
  std::list<Peer> peers;  ///< Oldest first.
  net::UniqueFd reserve;  ///< For a connection that comes when no file is left.
  bool stopped = false;

  asio::awaitable<void> serve(beast::tcp_stream& stream) {
    // One time limit for the whole connection, which carries one small request.
    stream.expires_after(limits.connection);
    beast::flat_buffer buffer(limits.header_bytes);
    beast::http::request_parser<beast::http::empty_body> parser;
    parser.header_limit(limits.header_bytes);
    auto [read_error, got] =
        co_await beast::http::async_read_header(stream, buffer, parser, async::kTuple);
    const auto& request = parser.get();
    const auto method = request.method();
    PlainAnswer reply;
    if (!read_error) {
      if (method == beast::http::verb::get || method == beast::http::verb::head) {
        const PlainRequest asked{
            .target = view_of(request.target()),
            .host = view_of(request[beast::http::field::host]),
            .if_none_match = view_of(request[beast::http::field::if_none_match])};
        reply = co_await handler(asked);
      } else {
        reply = plain_text(405, "only GET and HEAD");
      }
    } else if (read_error == beast::http::error::end_of_stream || stopped ||
               read_error.category() !=
                   beast::http::make_error_code(beast::http::error::bad_method).category()) {
      co_return;  // disconnected or too slow
    } else {
      reply = plain_text(400, read_error.message());
    }
    if (stopped) co_return;
    const bool sent = co_await send(stream, reply, method == beast::http::verb::head);
    if (sent) co_await drop_rest(stream);
  }

  static std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

  /// Returns false if the connection is lost.
  static asio::awaitable<bool> send(beast::tcp_stream& stream, const PlainAnswer& reply,
                                    bool head_only) {
    const std::string head = plain_head(reply);
    std::array<asio::const_buffer, 2> pieces{asio::buffer(head), asio::const_buffer()};
    if (reply.body && !head_only) pieces[1] = asio::buffer(*reply.body);
    auto [error, written] = co_await asio::async_write(stream, pieces, async::kTuple);
    co_return !error;
  }

  /// Closing with unread bytes would reset the connection before the answer arrives: read the rest.
  static asio::awaitable<void> drop_rest(beast::tcp_stream& stream) {
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    std::array<char, kRestBytes> rest;
    for (;;) {
      auto [error, more] = co_await stream.async_read_some(asio::buffer(rest), async::kTuple);
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
    if (peers.size() >= limits.connections && first != nullptr) first->stream.close();
    const auto at = peers.emplace(peers.end(), std::move(socket));
    tasks.spawn(limits.request_task, serve(at->stream),
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

PlainServer::PlainServer(asio::any_io_executor executor, net::HostPort listen, PlainLimits limits,
                         PlainHandler handler, telemetry::MetricsRegistry* metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(listen), limits,
                                   std::move(handler), metrics)) {}

PlainServer::~PlainServer() { stop(); }

Result<std::uint16_t> PlainServer::start() {
  auto acceptor = listen(impl_->strand, impl_->listen_address);
  if (!acceptor) return acceptor.error();
  const std::uint16_t port = acceptor->local_endpoint().port();
  impl_->keep_reserve();
  impl_->listener.emplace(
      std::move(*acceptor), impl_->limits.accept_task,
      [impl = impl_.get()](tcp::socket socket) { impl->take(std::move(socket)); },
      async::AcceptLoop::NextExecutor(),
      [impl = impl_.get()](const boost::system::error_code& error) {
        return impl->make_room(error);
      });
  impl_->listener->start(impl_->tasks, [alive = impl_](const Result<void>&) {});
  return port;
}

void PlainServer::stop() {
  asio::dispatch(impl_->strand, [impl = impl_] { impl->end(); });
}

}  // namespace sidetap::http
