#include "shared/http/web_socket.h"

#include <utility>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "shared/async/tuple.h"
#include "shared/http/tls_async_stream.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

constexpr std::uint32_t kMostUpgradeBytes = 16u << 10;  // A token has about 1 KiB.

}  // namespace

struct WebSocket::Impl {
  template <typename... Connection>
  explicit Impl(WebSocketLimits limits, Connection&&... connection)
      : stream(std::forward<Connection>(connection)...) {
    websocket::stream_base::timeout timeout;
    timeout.handshake_timeout = limits.handshake_timeout;
    // Beast's own pings may outlive the stream that they are written to. The owner sends pings and
    // checks the time instead.
    timeout.idle_timeout = websocket::stream_base::none();
    stream.set_option(timeout);
    stream.read_message_max(limits.message_bytes);
    stream.text(true);
    // Messages are small, so connections need no large buffers.
    stream.write_buffer_bytes(512);
    stream.auto_fragment(false);
  }

  websocket::stream<TlsAsyncStream, false> stream;
  beast::flat_buffer buffer;
  beast::http::request<beast::http::string_body> request;
};

WebSocket::WebSocket(asio::ip::tcp::socket socket, const TlsContext& context,
                     WebSocketLimits limits)
    : impl_(std::make_unique<Impl>(limits, std::move(socket), context)) {}
WebSocket::WebSocket(asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name,
                     WebSocketLimits limits)
    : impl_(std::make_unique<Impl>(limits, std::move(socket), trust, name)) {}
WebSocket::~WebSocket() = default;

asio::any_io_executor WebSocket::executor() { return impl_->stream.get_executor(); }
TlsStream& WebSocket::tls() { return impl_->stream.next_layer().tls(); }

asio::awaitable<WebSocket::ErrorCode> WebSocket::read_request() {
  beast::http::request_parser<beast::http::string_body> parser;
  parser.header_limit(kMostUpgradeBytes);
  parser.body_limit(0);
  auto [error, size] = co_await beast::http::async_read(impl_->stream.next_layer(), impl_->buffer,
                                                        parser, async::kTuple);
  if (!error) impl_->request = parser.release();
  co_return error;
}

std::string_view WebSocket::target() const { return impl_->request.target(); }
bool WebSocket::is_upgrade() const { return websocket::is_upgrade(impl_->request); }
std::string_view WebSocket::field(std::string_view name) const { return impl_->request[name]; }

asio::awaitable<void> WebSocket::decline(unsigned status, std::string reason) {
  beast::http::response<beast::http::string_body> response(beast::http::int_to_status(status), 11);
  response.set(beast::http::field::content_type, "text/plain; charset=utf-8");
  response.set(beast::http::field::connection, "close");
  response.body() = std::move(reason) + "\n";
  response.prepare_payload();
  co_await beast::http::async_write(impl_->stream.next_layer(), response, async::kTuple);
  tls().shutdown();
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::accept() {
  auto [error] = co_await impl_->stream.async_accept(impl_->request, async::kTuple);
  co_return error;
}

asio::awaitable<WebSocket::Answer> WebSocket::upgrade(const std::string& host,
                                                      const std::string& path,
                                                      const std::string& token) {
  impl_->stream.set_option(
      websocket::stream_base::decorator([&token](websocket::request_type& request) {
        request.set(beast::http::field::user_agent, "sidetap/" SIDETAP_VERSION);
        if (!token.empty()) request.set(beast::http::field::authorization, "Bearer " + token);
      }));
  websocket::response_type response;
  auto [error] = co_await impl_->stream.async_handshake(response, host, path, async::kTuple);
  Answer answer{error};
  if (error == websocket::error::upgrade_declined) {
    answer.status = response.result_int();
    answer.reason = std::string(response.reason());
  }
  co_return answer;
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::read(std::string& message) {
  auto [error, size] = co_await impl_->stream.async_read(impl_->buffer, async::kTuple);
  if (error) co_return error;
  const auto bytes = impl_->buffer.cdata();
  message.assign(static_cast<const char*>(bytes.data()), bytes.size());
  // Large messages are rare: free their memory.
  impl_->buffer.consume(size);
  impl_->buffer.shrink_to_fit();
  co_return error;
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::write(std::string_view message) {
  auto [error, size] = co_await impl_->stream.async_write(asio::buffer(message), async::kTuple);
  co_return error;
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::ping() {
  auto [error] = co_await impl_->stream.async_ping({}, async::kTuple);
  co_return error;
}

std::chrono::steady_clock::time_point WebSocket::heard() const {
  return impl_->stream.next_layer().tls().heard();
}

bool WebSocket::is_closed(const ErrorCode& error) { return error == websocket::error::closed; }

}  // namespace sidetap::http
