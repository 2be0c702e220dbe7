// A TLS connection over a TCP socket, from either end, without buffers of its own.
//
// asio::ssl::stream keeps about 70 KiB for every connection, busy or not, and copies each record
// twice. Here OpenSSL reads and writes the socket itself and only waits go to the reactor, so that
// an idle connection costs what OpenSSL's session costs, a few KiB.
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

/// What one attempt came to. `want` says what to wait for before the next one.
struct TlsStep {
  enum class Want { kNothing, kRead, kWrite };
  std::size_t bytes = 0;
  Want want = Want::kNothing;
  boost::system::error_code error = {};
};

/// A write to a connection that the peer has closed raises SIGPIPE, which ends the process; OpenSSL
/// knows no flag against it. Turns the signal's default into ignoring.
void ignore_sigpipe();

/// One strand. A step neither blocks nor waits. Time limits are the owner's: cancel() or cut().
class TlsStream {
 public:
  /// The server's end.
  TlsStream(boost::asio::ip::tcp::socket socket, const TlsContext& context);
  /// The client's end, to a server that must prove to be `name`.
  TlsStream(boost::asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name);
  /// The end that `session` has been set to; takes it.
  TlsStream(boost::asio::ip::tcp::socket socket, SSL* session);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  boost::asio::ip::tcp::socket& socket() { return socket_; }

  TlsStep handshake_step();
  /// The error is asio::error::eof when the peer has ended, in order or not.
  TlsStep read_step(std::span<char> into);
  /// Has the peer said that nothing more comes (close_notify)? An end without it may be anyone's.
  bool ended_in_order() const;
  TlsStep write_step(std::span<const char> from);
  /// When the last byte was found at the socket, be it of a record that is not complete yet; the
  /// time of the construction before that.
  std::chrono::steady_clock::time_point heard() const { return heard_; }
  /// Are there bytes that were taken from the socket and not yet given out? Then do not wait.
  bool has_pending() const;
  /// Says good-bye (close_notify) as far as the socket takes it, and ends our direction.
  void shutdown();
  /// Wakes whoever waits, with operation_aborted.
  void cancel();
  /// Ends both directions at once; whoever waits sees the end. The descriptor stays ours until the
  /// destructor, for OpenSSL knows it by its number.
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
