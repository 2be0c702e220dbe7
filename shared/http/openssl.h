// Reads certificates and keys from PEM text (RFC 7468), and owns OpenSSL objects.
//
// Safe from any thread. Every function except next_certificate() leaves the thread's OpenSSL error
// queue empty.
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

/// A reader of `text`, which must outlive it.
Bio reader_of(const std::string& text);

/// The next certificate; null at the end, or if one cannot be read.
Certificate next_certificate(BIO* pem);

/// Every certificate of `pem`, in order. Empty if there is none, or if one of them cannot be read.
std::vector<Certificate> read_certificates(const std::string& pem);

/// The first key of `pem`. A key with a passphrase is refused, because OpenSSL would ask for the
/// passphrase at the terminal. The Error gives OpenSSL's reason.
Result<Key> read_key(const std::string& pem);

/// "WHAT: REASON", with the reason of OpenSSL's last failure on this thread, if any.
Error openssl_error(const std::string& what);

}  // namespace sidetap::http
