#include "shared/http/tls_stream.h"

#include <cerrno>
#include <csignal>
#include <new>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "shared/async/tuple.h"

namespace sidetap::http {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

// OpenSSL refers to the descriptor by number, which may be reused once the socket is closed.
const TlsStep kClosed{0, TlsStep::Want::kNothing, asio::error::eof};

ErrorCode last_tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return asio::error::eof;
  }
  return {static_cast<int>(code), asio::error::get_ssl_category()};
}

SSL* new_server_session(const TlsContext& context) {
  SSL* const session = SSL_new(context.native());
  if (session == nullptr) throw std::bad_alloc();
  SSL_set_accept_state(session);
  return session;
}

}  // namespace

void ignore_sigpipe() {
  struct sigaction present {};
  if (::sigaction(SIGPIPE, nullptr, &present) == 0 && present.sa_handler == SIG_DFL) {
    present.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &present, nullptr);
  }
}

TlsStream::TlsStream(asio::ip::tcp::socket socket, const TlsContext& context)
    : TlsStream(std::move(socket), new_server_session(context)) {}

TlsStream::TlsStream(asio::ip::tcp::socket socket, const TlsTrust& trust, const std::string& name)
    : TlsStream(std::move(socket), trust.make_session(name)) {}

TlsStream::TlsStream(asio::ip::tcp::socket socket, SSL* session)
    : socket_(std::move(socket)), session_(session) {
  SSL_set_fd(session_, socket_.native_handle());
  ErrorCode ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

TlsStream::~TlsStream() { SSL_free(session_); }

TlsStep TlsStream::result_of(int returned, std::size_t bytes) {
  if (returned > 0) return {bytes};
  const int system_error = errno;
  switch (SSL_get_error(session_, returned)) {
    case SSL_ERROR_WANT_READ:
      return {0, TlsStep::Want::kRead};
    case SSL_ERROR_WANT_WRITE:
      return {0, TlsStep::Want::kWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {0, TlsStep::Want::kNothing, asio::error::eof};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      if (system_error == 0) return {0, TlsStep::Want::kNothing, asio::error::eof};
      return {0, TlsStep::Want::kNothing, {system_error, boost::system::system_category()}};
    default:
      return {0, TlsStep::Want::kNothing, last_tls_error()};
  }
}

/// Counts all received bytes, not only those returned: a large record that arrives slowly is also a
/// sign of life.
void TlsStream::listen() {
  const int system_error = errno;  // result_of() needs it
  const std::uint64_t received = BIO_number_read(SSL_get_rbio(session_));
  if (std::exchange(received_, received) != received) heard_ = std::chrono::steady_clock::now();
  errno = system_error;
}

TlsStep TlsStream::handshake_step() {
  if (!socket_.is_open()) return kClosed;
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_do_handshake(session_);
  listen();
  return result_of(returned, 0);
}

TlsStep TlsStream::read_step(std::span<char> into) {
  if (!socket_.is_open()) return kClosed;
  ERR_clear_error();
  errno = 0;
  std::size_t bytes = 0;
  const int returned = SSL_read_ex(session_, into.data(), into.size(), &bytes);
  listen();
  return result_of(returned, bytes);
}

TlsStep TlsStream::write_step(std::span<const char> from) {
  if (!socket_.is_open()) return kClosed;
  ERR_clear_error();
  errno = 0;
  std::size_t bytes = 0;
  const int returned = SSL_write_ex(session_, from.data(), from.size(), &bytes);
  return result_of(returned, bytes);
}

bool TlsStream::has_pending() const { return SSL_has_pending(session_) == 1; }

bool TlsStream::ended_in_order() const {
  return (SSL_get_shutdown(session_) & SSL_RECEIVED_SHUTDOWN) != 0;
}

long TlsStream::verify_result() const { return SSL_get_verify_result(session_); }

void TlsStream::shutdown() {
  if (!socket_.is_open()) return;
  if (SSL_is_init_finished(session_)) SSL_shutdown(session_);
  ERR_clear_error();
  ErrorCode ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

void TlsStream::cancel() {
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void TlsStream::cut() {
  ErrorCode ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.cancel(ignored);
}

asio::awaitable<ErrorCode> TlsStream::wait(TlsStep::Want want) {
  auto [error] =
      co_await socket_.async_wait(want == TlsStep::Want::kRead ? asio::ip::tcp::socket::wait_read
                                                               : asio::ip::tcp::socket::wait_write,
                                  async::kTuple);
  co_return error;
}

asio::awaitable<ErrorCode> TlsStream::handshake() {
  for (;;) {
    const TlsStep step = handshake_step();
    if (step.want == TlsStep::Want::kNothing) co_return step.error;
    if (const ErrorCode error = co_await wait(step.want)) co_return error;
  }
}

asio::awaitable<ErrorCode> TlsStream::write(std::span<const char> bytes) {
  while (!bytes.empty()) {
    const TlsStep step = write_step(bytes);
    if (step.error) co_return step.error;
    if (step.want == TlsStep::Want::kNothing) {
      bytes = bytes.subspan(step.bytes);
    } else if (const ErrorCode error = co_await wait(step.want)) {
      co_return error;
    }
  }
  co_return ErrorCode();
}

}  // namespace sidetap::http
