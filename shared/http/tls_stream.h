// A TLS connection over a TCP socket, as client or server, without buffers of its own.
//
// asio::ssl::stream keeps about 70 KiB for every connection, busy or not, and copies each record
// twice. Here OpenSSL reads and writes the socket itself, and Asio only waits for the socket. An
// idle connection costs only OpenSSL's session, a few KiB.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <openssl/types.h>

#include "shared/http/tls_context.h"
#include "shared/http/tls_trust.h"

namespace sidetap::http {

/// The outcome of one attempt. `want` says what to wait for before the next one.
struct TlsStep {
  enum class Want { kNothing, kRead, kWrite };
  std::size_t bytes = 0;
  Want want = Want::kNothing;
  boost::system::error_code error = {};
};

/// Ignores SIGPIPE if its default action is set. A write to a connection that the peer has closed
/// raises this signal, which ends the process, and OpenSSL has no flag to prevent it.
void ignore_sigpipe();

/// Use it on one strand. A step never blocks. The owner enforces time limits with cancel() or
/// cut().
class TlsStream {
 public:
  /// As the server.
  TlsStream(boost::asio::ip::tcp::socket socket, const TlsContext& context);
  /// As the client. The server's certificate must be valid for `name`.
  TlsStream(boost::asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name);
  /// The end that `session` has been set to; takes it.
  TlsStream(boost::asio::ip::tcp::socket socket, SSL* session);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  boost::asio::ip::tcp::socket& socket() { return socket_; }

  TlsStep handshake_step();
  /// The error is asio::error::eof when the peer has ended the connection, cleanly or not.
  TlsStep read_step(std::span<char> into);
  /// Whether the peer has sent close_notify. Without it, anyone may have ended the connection.
  bool ended_in_order() const;
  TlsStep write_step(std::span<const char> from);
  /// When the last byte arrived, even if its record is not complete yet. Before the first byte, the
  /// time of construction.
  std::chrono::steady_clock::time_point heard() const { return heard_; }
  /// Whether there are bytes that were read from the socket but not returned yet. If so, do not
  /// wait.
  bool has_pending() const;
  /// Sends close_notify if the socket accepts it, and shuts down the sending direction.
  void shutdown();
  /// Ends pending waits with operation_aborted.
  void cancel();
  /// Shuts down both directions at once, which ends pending waits. The descriptor stays open until
  /// the destructor, because OpenSSL refers to it by number.
  void cut();

  /// X509_V_OK, or why the peer's certificate is not trusted (openssl/x509_vfy.h).
  long verify_result() const;

  boost::asio::awaitable<boost::system::error_code> wait(TlsStep::Want want);
  boost::asio::awaitable<boost::system::error_code> handshake();
  boost::asio::awaitable<boost::system::error_code> write(std::span<const char> bytes);

 private:
  void listen();
  TlsStep result_of(int returned, std::size_t bytes);

  boost::asio::ip::tcp::socket socket_;
  SSL* session_;
  std::uint64_t received_ = 0;
  std::chrono::steady_clock::time_point heard_ = std::chrono::steady_clock::now();
};

}  // namespace sidetap::http
