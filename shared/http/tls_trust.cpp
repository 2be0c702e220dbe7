#include "shared/http/tls_trust.h"

#include <new>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "shared/http/openssl.h"
#include "shared/http/tls_stream.h"
#include "shared/net/ip_address.h"

namespace sidetap::http {

Result<std::shared_ptr<const TlsTrust>> TlsTrust::make(const std::string& pem) {
  ignore_sigpipe();
  ERR_clear_error();
  SSL_CTX* const native = SSL_CTX_new(TLS_client_method());
  if (native == nullptr) return openssl_error("TLS context");
  const std::shared_ptr<const TlsTrust> trust(new TlsTrust(native));
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_mode(native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
  const auto authorities = read_certificates(pem);
  if (authorities.empty()) return Error{"it holds no PEM certificate, or one that cannot be read"};
  for (const auto& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(native), authority.get()) != 1) {
      return openssl_error("CA");
    }
  }
  return trust;
}

TlsTrust::~TlsTrust() { SSL_CTX_free(context_); }

SSL* TlsTrust::make_session(const std::string& name) const {
  SSL* const session = SSL_new(context_);
  if (session == nullptr) throw std::bad_alloc();
  SSL_set_connect_state(session);
  if (net::IpAddress::parse(name)) {
    // SNI allows only host names: addresses are not sent (RFC 6066, 3).
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name.c_str());
  } else {
    SSL_set1_host(session, name.c_str());
    std::string copy = name;
    // SSL_set_tlsext_host_name is a macro for this call, with casts that our warnings reject.
    SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, copy.data());
  }
  return session;
}

}  // namespace sidetap::http
