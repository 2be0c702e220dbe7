// Messages of a WebSocket's peer.
#include <string>

#include "shared/http/web_socket_impl.h"

namespace sidetap::http {

boost::asio::awaitable<WebSocket::ErrorCode> WebSocket::read(std::string& message) {
  auto [error, size] = co_await impl_->stream.async_read(impl_->buffer, async::kTuple);
  if (error) co_return error;
  const auto bytes = impl_->buffer.cdata();
  message.assign(static_cast<const char*>(bytes.data()), bytes.size());
  // Large messages are rare: free their memory.
  impl_->buffer.consume(size);
  impl_->buffer.shrink_to_fit();
  co_return error;
}

}  // namespace sidetap::http
