// Certificates and keys out of PEM text (RFC 7468), and owners for OpenSSL's objects.
//
// Any thread. Each function but next_certificate() leaves the thread's error queue of OpenSSL
// empty.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "shared/result.h"

namespace sidetap::http {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;

/// Reads `text`, which outlives it.
Bio reader_of(const std::string& text);

/// The next certificate; null at the end, and where one cannot be read.
Certificate next_certificate(BIO* pem);

/// Every certificate of `pem`, in its order. Empty where there is none, and where one of them
/// cannot be read.
std::vector<Certificate> read_certificates(const std::string& pem);

/// The first key of `pem`. A key with a passphrase counts as none: OpenSSL would ask for the
/// passphrase at the terminal. The error gives OpenSSL's reason.
Result<Key> read_key(const std::string& pem);

/// "WHAT: REASON", with the reason of OpenSSL's last failure on this thread where there is one.
Error openssl_error(const std::string& what);

}  // namespace sidetap::http
