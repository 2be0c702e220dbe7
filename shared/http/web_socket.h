// One WebSocket connection over TLS (RFC 6455), from either end, for text messages.
//
// Beast's WebSocket is a template over the stream below it and costs a minute of compiler time each
// time that it is instantiated. It is instantiated once, behind this class.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include "shared/http/tls_context.h"
#include "shared/http/tls_stream.h"

namespace sidetap::http {

struct WebSocketLimits {
  std::size_t message_bytes = 1u << 20;                ///< Largest message that is read.
  std::chrono::milliseconds handshake_timeout{5'000};  ///< For the upgrade, not for TLS.
};

/// One strand; one read, and one of write() and ping(), at a time. The operations that wait keep
/// nothing alive: whoever awaits one owns the object until it returns. The connection is cut by the
/// destructor.
class WebSocket {
 public:
  using ErrorCode = boost::system::error_code;

  /// The server's end of a connection that was accepted.
  WebSocket(boost::asio::ip::tcp::socket socket, const TlsContext& context, WebSocketLimits limits);
  /// The client's end of a connection to a server that must prove to be `name`.
  WebSocket(boost::asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name,
            WebSocketLimits limits);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  boost::asio::any_io_executor executor();
  /// For its handshake, which comes first, for shutdown(), and for cut(), which ends whatever
  /// waits.
  TlsStream& tls();

  /// Server: reads the HTTP request, which is at most 16 KiB and has no body.
  boost::asio::awaitable<ErrorCode> read_request();
  /// Of the request that was read; valid as long as the object.
  std::string_view target() const;
  bool is_upgrade() const;
  /// The value of a field; empty when there is none.
  std::string_view field(std::string_view name) const;
  /// Server: answers the request with an HTTP error and a line of text, and ends.
  boost::asio::awaitable<void> decline(unsigned status, std::string reason);
  /// Server: completes the upgrade.
  boost::asio::awaitable<ErrorCode> accept();

  /// What a server answered to an upgrade. Without an error the WebSocket is open. With one,
  /// `status` and `reason` are those of an HTTP answer that declined; status is 0 when there was
  /// none.
  struct Answer {
    ErrorCode error;
    unsigned status = 0;
    std::string reason = {};
  };
  /// Client: asks for an upgrade. `host` is the Host field; an empty `token` sends no
  /// Authorization.
  boost::asio::awaitable<Answer> upgrade(const std::string& host, const std::string& path,
                                         const std::string& token);

  /// Replaces `message` by the next one. The error is_closed() when the other end has closed in
  /// order.
  boost::asio::awaitable<ErrorCode> read(std::string& message);
  boost::asio::awaitable<ErrorCode> write(std::string_view message);
  boost::asio::awaitable<ErrorCode> ping();

  /// When the last byte came from the other end.
  std::chrono::steady_clock::time_point heard() const;

  static bool is_closed(const ErrorCode& error);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::http
