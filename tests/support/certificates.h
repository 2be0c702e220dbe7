// Temporary certificates for tests, created with OpenSSL in memory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <openssl/types.h>

namespace sidetap::testing_support {

struct KeyPair {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM, unencrypted PKCS #8
};

/// A self-signed ECDSA P-256 CA, valid for an hour.
KeyPair make_ca(const std::string& name);

/// A leaf signed by `ca`. `names` are subject alternative names: "IP:127.0.0.1", "DNS:localhost".
/// `seconds` of validity may be negative for an expired certificate.
KeyPair make_leaf(const KeyPair& ca, const std::vector<std::string>& names, long seconds = 3600);

/// Sets the certificate that connections of this context present.
void show_certificate(SSL_CTX* context, const KeyPair& own);

/// A new folder, which the destructor removes with its contents.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& text) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sidetap::testing_support
