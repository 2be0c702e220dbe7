#include "shared/http/tls_trust.h"

#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "shared/http/tls_stream.h"
#include "shared/net/ip_address.h"

namespace sidetap::http {
namespace {

Error openssl_error() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  Error error{reason != nullptr ? reason : "no PEM certificate"};
  ERR_clear_error();
  return error;
}

/// What is encrypted must fail instead of asking at the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

/// Adds each certificate of `pem`; false when one cannot be read or there is none.
bool add_certificates(X509_STORE* store, const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free_all);
  std::size_t count = 0;
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) {
    const bool added = X509_STORE_add_cert(store, one) == 1;
    X509_free(one);
    if (!added) return false;
    ++count;
  }
  // The end of the text looks like an error; anything else is one.
  if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

}  // namespace

Result<std::shared_ptr<const TlsTrust>> TlsTrust::make(const std::string& pem) {
  ignore_sigpipe();
  ERR_clear_error();
  SSL_CTX* const native = SSL_CTX_new(TLS_client_method());
  if (native == nullptr) return openssl_error();
  const std::shared_ptr<const TlsTrust> trust(new TlsTrust(native));
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_mode(native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
  if (!add_certificates(SSL_CTX_get_cert_store(native), pem)) return openssl_error();
  return trust;
}

TlsTrust::~TlsTrust() { SSL_CTX_free(context_); }

SSL* TlsTrust::make_session(const std::string& name) const {
  SSL* const session = SSL_new(context_);
  if (session == nullptr) throw std::bad_alloc();
  SSL_set_connect_state(session);
  if (net::IpAddress::parse(name)) {
    // A server name is a name: addresses are not sent (RFC 6066, 3).
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name.c_str());
  } else {
    SSL_set1_host(session, name.c_str());
    std::string copy = name;
    // SSL_set_tlsext_host_name is a macro around this call, with casts that are refused here.
    SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy.data());
  }
  return session;
}

}  // namespace sidetap::http
