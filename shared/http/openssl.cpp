#include "shared/http/openssl.h"

#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>

namespace sidetap::http {
namespace {

/// An encrypted key must fail instead of asking for a passphrase at the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

}  // namespace

Bio reader_of(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate next_certificate(BIO* pem) {
  return Certificate(PEM_read_bio_X509(pem, nullptr, no_passphrase, nullptr));
}

std::vector<Certificate> read_certificates(const std::string& pem) {
  std::vector<Certificate> found;
  const Bio bio = reader_of(pem);
  while (auto one = next_certificate(bio.get())) found.push_back(std::move(one));
  // The end of the text is reported as the error "no start line". Anything else is a real error.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) found.clear();
  ERR_clear_error();
  return found;
}

Result<Key> read_key(const std::string& pem) {
  const Bio bio = reader_of(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return openssl_error("no unencrypted PEM key");
  ERR_clear_error();
  return key;
}

Error openssl_error(const std::string& what) {
  std::string text = what;
  if (const char* const reason = ERR_reason_error_string(ERR_peek_last_error())) {
    text.append(": ").append(reason);
  }
  ERR_clear_error();
  return Error{std::move(text)};
}

}  // namespace sidetap::http
