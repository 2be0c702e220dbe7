// The server's part of a WebSocket's handshake, once the request is read.
#include "shared/http/web_socket_impl.h"

namespace sidetap::http {

boost::asio::awaitable<WebSocket::ErrorCode> WebSocket::accept() {
  auto [error] = co_await impl_->stream.async_accept(impl_->request, async::kTuple);
  co_return error;
}

}  // namespace sidetap::http
