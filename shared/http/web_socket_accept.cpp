// The server's part of a WebSocket's handshake, and its answers without one.
#include <cstdint>
#include <utility>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "shared/http/answer_head.h"
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
std::string_view WebSocket::method() const { return impl_->request.method_string(); }
bool WebSocket::is_upgrade() const { return websocket::is_upgrade(impl_->request); }
std::string_view WebSocket::field(std::string_view name) const { return impl_->request[name]; }

asio::awaitable<void> WebSocket::decline(unsigned status, std::string reason) {
  HttpAnswer declined;
  declined.status = status;
  declined.body = std::move(reason) + "\n";
  return answer(std::move(declined));
}

asio::awaitable<void> WebSocket::answer(HttpAnswer reply) {
  std::string text = head_of(reply, true);
  if (impl_->request.method() != beast::http::verb::head) text.append(reply.body);
  co_await tls().write(text);
  tls().shutdown();
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::begin_body(std::string content_type) {
  const std::string head = chunked_head_of(content_type);
  co_return co_await tls().write(head);
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::write_piece(std::string piece) {
  if (piece.empty()) co_return ErrorCode();
  const std::string chunk = chunk_of(piece);
  co_return co_await tls().write(chunk);
}

asio::awaitable<void> WebSocket::end_body() {
  const std::string chunk = chunk_of({});
  co_await tls().write(chunk);
  tls().shutdown();
}

asio::awaitable<WebSocket::ErrorCode> WebSocket::accept() {
  auto [error] = co_await impl_->stream.async_accept(impl_->request, async::kTuple);
  co_return error;
}

}  // namespace sidetap::http
