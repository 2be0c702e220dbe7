#include "shared/http/web_socket.h"

#include <utility>

#include <boost/beast/websocket/error.hpp>

#include "shared/http/web_socket_impl.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

}  // namespace

WebSocket::WebSocket(asio::ip::tcp::socket socket, const TlsContext& context,
                     WebSocketLimits limits)
    : impl_(std::make_unique<Impl>(limits, std::move(socket), context)) {}
WebSocket::WebSocket(asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name,
                     WebSocketLimits limits)
    : impl_(std::make_unique<Impl>(limits, std::move(socket), trust, name)) {}
WebSocket::~WebSocket() = default;

asio::any_io_executor WebSocket::executor() { return impl_->stream.get_executor(); }
TlsStream& WebSocket::tls() { return impl_->stream.next_layer().tls(); }

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
