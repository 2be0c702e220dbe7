#include "shared/http/https_connection.h"

#include <array>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "shared/http/tls_stream.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using ErrorCode = boost::system::error_code;
using Parser = beast::http::response_parser<beast::http::string_body>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
/// Of one read.
constexpr std::size_t kChunkBytes = 16u << 10;
/// What can be there without being understood: the head, or the head of a chunk.
constexpr std::size_t kMostUnparsed = 64u << 10;

/// A server may be silent for long, and one that has vanished is silent for ever: after some 25 s the connection ends.
void notice_dead_peer(int socket) {
  const int on = 1, idle_seconds = 10, between_seconds = 5, probes = 3;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between_seconds, sizeof between_seconds);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

std::string text_of(const HttpsRequest& request) {
  std::string text;
  text.reserve(512 + request.token.size() + request.body.size());
  text.append(request.method).append(" ").append(request.target).append(" HTTP/1.1");
  text.append("\r\nHost: ").append(request.host);
  text.append("\r\nUser-Agent: sidetap/" SIDETAP_VERSION "\r\nAccept: application/json");
  if (!request.token.empty()) text.append("\r\nAuthorization: Bearer ").append(request.token);
  if (!request.content_type.empty()) {
    text.append("\r\nContent-Type: ").append(request.content_type);
    text.append("\r\nContent-Length: ").append(std::to_string(request.body.size()));
  }
  text.append("\r\n\r\n").append(request.body);
  return text;
}

}  // namespace

struct HttpsConnection::Impl : std::enable_shared_from_this<Impl> {
  explicit Impl(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}

  tcp::socket socket;  // until the TLS stream takes it
  std::optional<TlsStream> tls;
  asio::steady_timer timer;
  std::optional<Parser> parser;
  std::string unparsed;
  bool late = false;
  bool answered = false;

  void end() {
    ErrorCode ignored;
    if (tls) {
      tls->cut();
    } else {
      socket.close(ignored);
    }
  }

  /// Cuts the connection unless disarm() or another arm() comes within `limit`.
  void arm(Milliseconds limit) {
    timer.expires_after(limit);
    timer.async_wait([weak = weak_from_this()](const ErrorCode& error) {
      const auto self = weak.lock();
      if (error || !self || self->timer.expiry() > Clock::now()) return;
      self->late = true;
      self->end();
    });
  }
  void disarm() { timer.cancel(); }

  Error failed(std::string_view step, const ErrorCode& error) const {
    return Error{std::string(step) + ": " + (late ? "timed out" : error.message())};
  }

  /// One read of the connection, whose end ends an answer of unknown length.
  asio::awaitable<Result<void>> receive() {
    std::array<char, kChunkBytes> chunk;
    for (;;) {
      const TlsStep step = tls->read_step(chunk);
      if (step.bytes > 0) {
        unparsed.append(chunk.data(), step.bytes);
        answered = true;
        co_return Result<void>{};
      }
      ErrorCode error = step.error;
      if (error == asio::error::eof && parser->is_header_done() && !late) {
        error = {};
        parser->put_eof(error);
        if (!error) co_return Result<void>{};
      }
      if (error) co_return failed("read", error);
      if (const ErrorCode waited = co_await tls->wait(step.want)) co_return failed("read", waited);
    }
  }

  /// Understands more of the answer, of what has come or of what comes.
  asio::awaitable<Result<void>> advance() {
    if (unparsed.empty()) {
      if (auto received = co_await receive(); !received) co_return received;
      if (parser->is_done()) co_return Result<void>{};
    }
    ErrorCode error;
    const std::size_t used = parser->put(asio::buffer(unparsed), error);
    unparsed.erase(0, used);
    if (error == beast::http::error::need_more) {
      if (unparsed.size() > kMostUnparsed) co_return failed("read", error);
      error = {};
      if (used == 0) co_return co_await receive();
    }
    if (error) co_return failed("read", error);
    co_return Result<void>{};
  }
};

HttpsConnection::HttpsConnection(asio::any_io_executor executor)
    : impl_(std::make_shared<Impl>(executor)) {}
HttpsConnection::~HttpsConnection() = default;

asio::awaitable<Result<void>> HttpsConnection::open(const std::vector<tcp::endpoint>& servers,
                                                    const TlsTrust& trust, const std::string& name,
                                                    Milliseconds limit) {
  const auto impl = impl_;
  ErrorCode error = asio::error::not_found;
  for (const tcp::endpoint& server : servers) {
    impl->socket = tcp::socket(impl->socket.get_executor());
    impl->late = false;
    impl->arm(limit);
    std::tie(error) = co_await impl->socket.async_connect(server, kTuple);
    impl->disarm();
    if (!error) break;
  }
  if (error) co_return impl->failed("connect", error);
  notice_dead_peer(impl->socket.native_handle());
  impl->tls.emplace(std::move(impl->socket), trust, name);
  impl->arm(limit);
  error = co_await impl->tls->handshake();
  impl->disarm();
  if (error) co_return impl->failed("TLS handshake", error);
  co_return Result<void>{};
}

asio::awaitable<Result<unsigned>> HttpsConnection::ask(const HttpsRequest& request,
                                                       std::optional<std::uint64_t> most_body,
                                                       Milliseconds limit) {
  const auto impl = impl_;
  impl->answered = false;
  impl->parser.emplace();
  // Before the head is read: a Content-Length over the limit is refused there and nowhere later.
  impl->parser->body_limit(most_body ? boost::optional<std::uint64_t>(*most_body) : boost::none);
  impl->arm(limit);
  const ErrorCode error = co_await impl->tls->write(text_of(request));
  if (error) {
    impl->disarm();
    co_return impl->failed("write", error);
  }
  impl->arm(limit);
  Result<void> advanced;
  while (advanced && !impl->parser->is_header_done()) advanced = co_await impl->advance();
  impl->disarm();
  if (!advanced) co_return advanced.error();
  impl->parser->eager(true);
  co_return impl->parser->get().result_int();
}

asio::awaitable<Result<bool>> HttpsConnection::read(std::string& body, Milliseconds limit) {
  const auto impl = impl_;
  std::string& parsed = impl->parser->get().body();
  impl->arm(limit);
  Result<void> advanced;
  while (advanced && parsed.empty() && !impl->parser->is_done()) advanced = co_await impl->advance();
  impl->disarm();
  if (!advanced) co_return advanced.error();
  const bool more = !parsed.empty() || !impl->parser->is_done();
  body.append(parsed);
  parsed.clear();
  co_return more;
}

bool HttpsConnection::unanswered() const { return !impl_->answered && !impl_->late; }
bool HttpsConnection::reusable() const {
  return impl_->parser && impl_->parser->is_done() && impl_->parser->keep_alive() &&
         impl_->unparsed.empty();
}
void HttpsConnection::cut() { impl_->end(); }

}  // namespace sidetap::http
