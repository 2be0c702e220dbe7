#include "shared/http/tls_context.h"

#include <ctime>
#include <vector>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "shared/http/openssl.h"
#include "shared/read_file.h"
#include "shared/telemetry/log.h"

namespace sidetap::http {
namespace {

using Store = std::unique_ptr<X509_STORE, OpensslDeleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, OpensslDeleter<X509_STORE_CTX_free>>;

TlsContext::Clock::time_point time_point(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return TlsContext::Clock::from_time_t(::timegm(&parts));
}

std::string subject_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<void> use_certificate(SSL_CTX* context, const std::vector<Certificate>& chain) {
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
    return openssl_error("certificate");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return openssl_error("chain");
  }
  return {};
}

Result<void> use_key(SSL_CTX* context, const std::string& text) {
  const auto read = read_key(text);
  if (!read) return Error{"private key: " + read.error().text};
  const Key& key = *read;
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return openssl_error("private key does not belong to the certificate");
  }
  return {};
}

Result<void> require_clients_of(SSL_CTX* context, const std::string& text) {
  const auto authorities = read_certificates(text);
  if (authorities.empty()) return Error{"client CA: no PEM certificate"};
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& authority : authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      return openssl_error("client CA");
    }
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

void set_modes(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
  // API servers do not resume sessions. Without a cache, there is nothing to keep per client.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One read of the socket per record, instead of one for its head and one for its body.
  SSL_CTX_set_read_ahead(context, 1);
}

/// Without a path, there is no CA.
Result<std::string> read_client_ca(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = read_file(path);
  // An empty file must not turn the check off.
  if (text && text->empty()) return Error{path + ": is empty"};
  return text;
}

}  // namespace

Result<void> check_certificates(const std::string& pem) {
  if (read_certificates(pem).empty()) return Error{"no PEM certificate, or one that is damaged"};
  return {};
}

Result<TlsMaterial> read_tls_files(const TlsFiles& files) {
  auto certificate = read_file(files.certificate);
  if (!certificate) return certificate.error();
  auto key = read_file(files.key);
  if (!key) return key.error();
  TlsMaterial material{std::move(*certificate), std::move(*key)};
  auto authorities = read_client_ca(files.client_ca);
  if (!authorities) return authorities.error();
  material.client_ca = std::move(*authorities);
  return material;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsMaterial& material) {
  ERR_clear_error();
  SSL_CTX* native = SSL_CTX_new(TLS_server_method());
  if (native == nullptr) return openssl_error("TLS context");
  const std::shared_ptr<TlsContext> context(new TlsContext(native));
  set_modes(native);
  const auto chain = read_certificates(material.certificate);
  if (chain.empty()) return Error{"certificate: no PEM certificate"};
  if (auto used = use_certificate(native, chain); !used) return used.error();
  if (auto used = use_key(native, material.key); !used) return used.error();
  if (!material.client_ca.empty()) {
    if (auto used = require_clients_of(native, material.client_ca); !used) return used.error();
  }
  X509* leaf = chain.front().get();
  context->not_before_ = time_point(X509_get0_notBefore(leaf));
  context->not_after_ = time_point(X509_get0_notAfter(leaf));
  context->subject_ = subject_of(leaf);
  return std::shared_ptr<const TlsContext>(context);
}

Result<void> TlsContext::verified_by(const std::string& authorities) const {
  const auto trusted = read_certificates(authorities);
  if (trusted.empty()) return Error{"no PEM certificate, or one that is damaged"};
  const Store store(X509_STORE_new());
  for (const auto& authority : trusted) X509_STORE_add_cert(store.get(), authority.get());
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context_, &chain);
  const StoreContext check(X509_STORE_CTX_new());
  // Verify as a client does: for a TLS server, at the client's security level.
  if (X509_STORE_CTX_init(check.get(), store.get(), SSL_CTX_get0_certificate(context_), chain) !=
          1 ||
      X509_STORE_CTX_set_default(check.get(), "ssl_server") != 1) {
    return openssl_error("certificate check");
  }
  X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check.get()),
                                   SSL_CTX_get_security_level(context_));
  const bool good = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  if (good) return {};
  return Error{subject_ + ": " +
               X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get()))};
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::shared_ptr<const TlsContext> TlsStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Result<void> TlsStore::failed(Error error) {
  const std::lock_guard lock(mutex_);
  // A lasting fault is found again and again: count and log it once.
  if (error.text != last_failure_) {
    last_failure_ = error.text;
    ++failures_;
    telemetry::error(current_ ? "new TLS certificate refused; the old one stays in use"
                              : "no usable TLS certificate",
                     {{"reason", error.text}});
  }
  return error;
}

Result<void> TlsStore::replace(const TlsMaterial& material) {
  {
    const std::lock_guard lock(mutex_);
    if (current_ && material == in_place_) {
      last_failure_.clear();
      return {};
    }
  }
  auto made = TlsContext::make(material);
  if (!made) return failed(made.error());
  const auto now = TlsContext::Clock::now();
  if (!(*made)->valid_at(now)) {
    const std::string fault = now < (*made)->not_before() ? "not valid yet" : "expired";
    if (usable()) return failed(Error{"certificate is " + fault + ": " + (*made)->subject()});
    ++out_of_dates_;
    telemetry::warn(
        "TLS certificate has expired or is not valid yet; serving it because there is no better "
        "one",
        {{"subject", (*made)->subject()}, {"fault", fault}});
  }
  const std::lock_guard lock(mutex_);
  current_ = std::move(*made);
  in_place_ = material;
  last_failure_.clear();
  ++reloads_;
  telemetry::info(
      "TLS certificate loaded",
      {{"subject", current_->subject()},
       {"days_left",
        std::chrono::duration_cast<std::chrono::hours>(current_->not_after() - now).count() / 24}});
  return {};
}

Result<void> TlsStore::reload(const TlsFiles& files) {
  auto material = read_tls_files(files);
  if (!material) return failed(material.error());
  return replace(*material);
}

Result<void> TlsStore::reload_with(TlsMaterial material, const std::string& client_ca_file) {
  auto authorities = read_client_ca(client_ca_file);
  if (!authorities) return failed(authorities.error());
  material.client_ca = std::move(*authorities);
  return replace(material);
}

bool TlsStore::usable() const {
  const auto context = current();
  return context && context->valid_at(TlsContext::Clock::now());
}

double TlsStore::expiry_seconds() const {
  const auto context = current();
  if (!context) return 0;
  return std::chrono::duration<double>(context->not_after().time_since_epoch()).count();
}

}  // namespace sidetap::http
