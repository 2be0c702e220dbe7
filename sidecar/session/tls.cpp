#include "sidecar/session/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "shared/http/openssl.h"
#include "shared/net/ip_address.h"

namespace sidetap::session {
namespace {

namespace asio = boost::asio;

constexpr unsigned char kHandshakeRecord = 22;

Error wrong_file(const std::string& what, const std::string& file) {
  return Error{what + " " + file + ": " + tls_reason()};
}

/// The CAs that must have signed the peer's certificate.
Result<void> trust_text(SSL_CTX& context, const std::string& pem) {
  const auto authorities = http::read_certificates(pem);
  if (authorities.empty()) return Error{"TLS: the registry's CA is not a certificate"};
  X509_STORE* const store = SSL_CTX_get_cert_store(&context);
  for (const auto& authority : authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1)
      return Error{"TLS: the registry's CA: " + tls_reason()};
  }
  return {};
}

/// Sets the name that a client sends and verifies.
Result<void> expect_name(SSL& tls, const std::string& name) {
  X509_VERIFY_PARAM* const parameters = SSL_get0_param(&tls);
  if (net::IpAddress::parse(name)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1) {
      return Error{"TLS: " + name + " cannot be verified"};
    }
    return {};  // SNI allows only host names: addresses are not sent (RFC 6066, 3)
  }
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // The first call replaces a macro with casts that our warnings reject.
  std::string copy = name;
  SSL_ctrl(&tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy.data());
  if (SSL_set1_host(&tls, name.c_str()) != 1) return Error{"TLS: " + name + " is not a host name"};
  return {};
}

}  // namespace

std::string tls_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "the connection was closed";
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

Result<std::shared_ptr<SSL_CTX>> make_tls_context(const TlsSettings& settings) {
  const bool server = settings.role == TlsRole::kServer;
  const std::shared_ptr<SSL_CTX> context(
      SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()), SSL_CTX_free);
  if (!context) return Error{"TLS: " + tls_reason()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A data connection is never read: unread tickets would turn its end into a reset.
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  // Many peers close without close_notify. RPCAP detects incomplete messages by their length.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (server && settings.certificate_file.empty()) {
    return Error{"TLS: a server needs a certificate, but none is configured"};
  }
  if (!settings.certificate_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), settings.certificate_file.c_str()) != 1) {
      return wrong_file("certificate file", settings.certificate_file);
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), settings.key_file.c_str(), SSL_FILETYPE_PEM) !=
            1 ||
        SSL_CTX_check_private_key(context.get()) != 1) {
      return wrong_file("key file", settings.key_file);
    }
  }
  if (!settings.ca_text.empty()) {
    if (auto trusted = trust_text(*context, settings.ca_text); !trusted) return trusted.error();
  } else if (!settings.ca_file.empty()) {
    if (SSL_CTX_load_verify_file(context.get(), settings.ca_file.c_str()) != 1) {
      return wrong_file("CA file", settings.ca_file);
    }
  } else if (settings.role == TlsRole::kClient &&
             SSL_CTX_set_default_verify_paths(context.get()) != 1) {
    return Error{"TLS: the system's CAs: " + tls_reason()};
  }
  if (!server || !settings.ca_file.empty()) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

asio::awaitable<bool> talks_plain(async::AsyncFd& fd, async::Limit limit,
                                  async::Interruption* interruption) {
  co_await fd.wait(async::AsyncFd::kRead, limit, interruption);
  unsigned char first = 0;
  const ssize_t got = ::recv(fd.get(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
  co_return got == 1 && first != kHandshakeRecord;
}

asio::awaitable<Result<std::shared_ptr<SSL>>> tls_handshake(async::AsyncFd& fd, SSL_CTX& context,
                                                            const TlsSettings& settings,
                                                            const std::string& host,
                                                            async::Limit limit,
                                                            async::Interruption* interruption) {
  std::shared_ptr<SSL> tls(SSL_new(&context), SSL_free);
  if (!tls || SSL_set_fd(tls.get(), fd.get()) != 1) co_return Error{"TLS: " + tls_reason()};
  const bool server = settings.role == TlsRole::kServer;
  if (server) {
    SSL_set_accept_state(tls.get());
  } else {
    SSL_set_connect_state(tls.get());
    const auto expected =
        expect_name(*tls, settings.server_name.empty() ? host : settings.server_name);
    if (!expected) co_return expected.error();
  }
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(tls.get());
    if (result == 1) co_return tls;
    const int cause = SSL_get_error(tls.get(), result);
    if (cause != SSL_ERROR_WANT_READ && cause != SSL_ERROR_WANT_WRITE) {
      const long verdict = SSL_get_verify_result(tls.get());
      std::string reason = tls_reason();
      if (verdict != X509_V_OK) reason = X509_verify_cert_error_string(verdict);
      co_return Error{"TLS handshake: " + reason};
    }
    const auto direction =
        cause == SSL_ERROR_WANT_READ ? async::AsyncFd::kRead : async::AsyncFd::kWrite;
    const async::Wait wait = co_await fd.wait(direction, limit, interruption);
    if (wait == async::Wait::kTimedOut) co_return Error{"TLS handshake: no answer from the peer"};
    if (wait == async::Wait::kInterrupted) co_return Error{"TLS handshake: interrupted"};
  }
}

}  // namespace sidetap::session
