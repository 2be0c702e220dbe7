#include "tests/support/tls_client.h"

#include <array>
#include <csignal>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace sidetap::testing_support {
namespace {

[[noreturn]] void fail(const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  throw std::runtime_error(what + ": " + (reason != nullptr ? reason : "connection ended"));
}

void trust(SSL_CTX* context, const std::string& ca) {
  BIO* bio = BIO_new_mem_buf(ca.data(), static_cast<int>(ca.size()));
  while (X509* one = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one);
    X509_free(one);
  }
  ERR_clear_error();
  BIO_free(bio);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

}  // namespace

TlsClient::TlsClient(std::uint16_t port, const TlsClientOptions& options)
    : tcp_(port), context_(SSL_CTX_new(TLS_client_method())), session_(nullptr) {
  std::signal(SIGPIPE, SIG_IGN);
  if (options.version != 0) {
    SSL_CTX_set_min_proto_version(context_, options.version);
    SSL_CTX_set_max_proto_version(context_, options.version);
    // Otherwise OpenSSL itself would not even try an old version.
    SSL_CTX_set_security_level(context_, 0);
  }
  if (!options.ca.empty()) trust(context_, options.ca);
  if (!options.own.certificate.empty()) show_certificate(context_, options.own);
  session_ = SSL_new(context_);
  SSL_set_fd(session_, tcp_.fd());
  if (SSL_connect(session_) != 1) {
    SSL_free(session_);
    SSL_CTX_free(context_);
    fail("handshake");
  }
}

TlsClient::~TlsClient() {
  SSL_free(session_);
  SSL_CTX_free(context_);
}

bool TlsClient::send(std::string_view bytes) {
  const bool sent = SSL_write(session_, bytes.data(), static_cast<int>(bytes.size())) > 0;
  ERR_clear_error();
  return sent;
}

std::string TlsClient::sealed(std::string_view bytes) {
  BIO* const socket = SSL_get_wbio(session_);
  BIO_up_ref(socket);
  BIO* const memory = BIO_new(BIO_s_mem());
  BIO_up_ref(memory);
  SSL_set0_wbio(session_, memory);
  send(bytes);
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string records(data, static_cast<std::size_t>(size));
  SSL_set0_wbio(session_, socket);
  BIO_free(memory);
  return records;
}

bool TlsClient::read_more() {
  std::array<char, 4096> piece{};
  const int got = SSL_read(session_, piece.data(), piece.size());
  if (got > 0) {
    received_.append(piece.data(), static_cast<std::size_t>(got));
    return true;
  }
  if (SSL_get_error(session_, got) == SSL_ERROR_WANT_READ) {
    throw std::runtime_error("no answer in ten seconds");
  }
  ERR_clear_error();
  return false;
}

std::string TlsClient::read_answer() {
  std::size_t head = 0;
  while ((head = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return std::exchange(received_, {});
  }
  std::size_t length = head + 4;
  if (const auto at = received_.find("Content-Length: "); at < head) {
    length += std::stoul(received_.substr(at + 16));
  }
  while (received_.size() < length) {
    if (!read_more()) return std::exchange(received_, {});
  }
  std::string answer = received_.substr(0, length);
  received_.erase(0, length);
  return answer;
}

std::string TlsClient::read_all() {
  while (read_more()) {
  }
  return std::exchange(received_, {});
}

std::string TlsClient::read_until(std::string_view words) {
  while (received_.find(words) == std::string::npos && read_more()) {
  }
  return std::exchange(received_, {});
}

std::string TlsClient::server_subject() const {
  std::array<char, 256> text{};
  X509* certificate = SSL_get1_peer_certificate(session_);
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text.data(),
                            static_cast<int>(text.size()));
  X509_free(certificate);
  return text.data();
}

std::string ask_tls(std::uint16_t port, std::string_view request) {
  TlsClient client(port);
  client.send(request);
  return client.read_all();
}

}  // namespace sidetap::testing_support
