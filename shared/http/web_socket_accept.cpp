// The server's part of a WebSocket's handshake.
#include <cstdint>
#include <utility>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "shared/http/web_socket_impl.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

constexpr std::uint32_t kMostUpgradeBytes = 16u << 10;  // A token has about one KiB.

}  // namespace

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

}  // namespace sidetap::http
