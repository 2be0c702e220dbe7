// Throw-away certificates for tests, made with OpenSSL in memory.
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
/// `seconds` of validity may be negative: then it has expired.
KeyPair make_leaf(const KeyPair& ca, const std::vector<std::string>& names, long seconds = 3600);

/// What connections of this context prove themselves by.
void show_certificate(SSL_CTX* context, const KeyPair& own);

/// A new folder that is removed with everything in it.
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
