// What WebSocket consists of, for web_socket*.cpp only: each of them instantiates the operations of
// Beast that it needs, which together would take most of a gigabyte of compiler memory.
#pragma once

#include <utility>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/beast/websocket/stream_base.hpp>

#include "shared/async/tuple.h"
#include "shared/http/tls_async_stream.h"
#include "shared/http/web_socket.h"

namespace sidetap::http {

struct WebSocket::Impl {
  template <typename... Connection>
  explicit Impl(WebSocketLimits limits, Connection&&... connection)
      : stream(std::forward<Connection>(connection)...) {
    boost::beast::websocket::stream_base::timeout timeout;
    timeout.handshake_timeout = limits.handshake_timeout;
    // Beast's own pings may outlive the stream that they are written to: the owner pings and keeps
    // the time.
    timeout.idle_timeout = boost::beast::websocket::stream_base::none();
    stream.set_option(timeout);
    stream.read_message_max(limits.message_bytes);
    stream.text(true);
    // Messages are small: no connection holds large buffers.
    stream.write_buffer_bytes(512);
    stream.auto_fragment(false);
  }

  boost::beast::websocket::stream<TlsAsyncStream, false> stream;
  boost::beast::flat_buffer buffer;
  boost::beast::http::request<boost::beast::http::string_body> request;
};

}  // namespace sidetap::http
