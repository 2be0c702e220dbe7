// One WebSocket connection over TLS (RFC 6455), as client or server, for text messages. The
// server's end can instead answer the request as plain HTTP does.
//
// Beast's WebSocket is a template over the stream, and each instantiation costs a minute of
// compiler time. This class hides the only one.
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

#include "shared/http/https_server.h"
#include "shared/http/tls_context.h"
#include "shared/http/tls_stream.h"

namespace sidetap::http {

struct WebSocketLimits {
  std::size_t message_bytes = 1u << 20;                ///< Largest message to read.
  std::chrono::milliseconds handshake_timeout{5'000};  ///< For the upgrade, not for TLS.
};

/// Use it on one strand, with one read() and one write() or ping() at a time. Pending operations do
/// not keep the object alive: keep it until they return. The destructor cuts the connection.
class WebSocket {
 public:
  using ErrorCode = boost::system::error_code;

  /// The server's end of an accepted connection.
  WebSocket(boost::asio::ip::tcp::socket socket, const TlsContext& context, WebSocketLimits limits);
  /// The client's end. The server's certificate must be valid for `name`.
  WebSocket(boost::asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name,
            WebSocketLimits limits);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  boost::asio::any_io_executor executor();
  /// The stream below. Perform its handshake first. shutdown() and cut() work as documented there.
  TlsStream& tls();

  /// Server: reads the HTTP request, which has at most 16 KiB and no body.
  boost::asio::awaitable<ErrorCode> read_request();
  /// The target of the request that was read. Valid as long as this object.
  std::string_view target() const;
  /// The request's method, such as "GET".
  std::string_view method() const;
  bool is_upgrade() const;
  /// The value of a header field; empty if there is none.
  std::string_view field(std::string_view name) const;
  /// Server: answers the request with an HTTP error and a line of text, and ends the connection.
  boost::asio::awaitable<void> decline(unsigned status, std::string reason);
  /// Server: answers the request without an upgrade, and ends the connection. An answer to HEAD is
  /// sent without its body.
  boost::asio::awaitable<void> answer(HttpAnswer reply);
  /// Server: begins a 200 without an upgrade. Its body is what write_piece() sends, of any length.
  boost::asio::awaitable<ErrorCode> begin_body(std::string content_type);
  /// Returns when the connection has taken the piece. A reader that is too slow keeps it waiting:
  /// the owner enforces a time limit with cut(). An empty piece sends nothing.
  boost::asio::awaitable<ErrorCode> write_piece(std::string piece);
  /// Ends the body in order, and the connection. Without it, the reader knows that some is missing.
  boost::asio::awaitable<void> end_body();
  /// Server: completes the upgrade.
  boost::asio::awaitable<ErrorCode> accept();

  /// A server's answer to an upgrade. Without an error, the WebSocket is open. With an error,
  /// `status` and `reason` are those of the HTTP answer that declined; `status` is 0 if there was
  /// none.
  struct Answer {
    ErrorCode error;
    unsigned status = 0;
    std::string reason = {};
  };
  /// Client: requests an upgrade. `host` is the Host field. An empty `token` sends no
  /// Authorization.
  boost::asio::awaitable<Answer> upgrade(const std::string& host, const std::string& path,
                                         const std::string& token);

  /// Replaces `message` with the next one. is_closed() is true of the error if the peer has closed
  /// the WebSocket cleanly.
  boost::asio::awaitable<ErrorCode> read(std::string& message);
  boost::asio::awaitable<ErrorCode> write(std::string_view message);
  boost::asio::awaitable<ErrorCode> ping();

  /// When the last byte from the peer arrived.
  std::chrono::steady_clock::time_point heard() const;

  static bool is_closed(const ErrorCode& error);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::http
