// A TLS server's certificate, key and client CAs, which can be replaced while it serves.
//
// A new context is complete before it replaces the old one. A bad certificate therefore never
// reaches a handshake. Connections with the old context continue.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <openssl/types.h>

#include "shared/result.h"

namespace sidetap::http {

/// PEM texts. The intermediate CAs follow the certificate; the root is left out.
struct TlsMaterial {
  std::string certificate;
  std::string key;
  std::string client_ca = {};  ///< If not empty, clients need a certificate signed by these.

  friend bool operator==(const TlsMaterial&, const TlsMaterial&) = default;
};

/// Paths of the material. `client_ca` may be empty.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca = {};
};

/// Fails unless `pem` holds at least one certificate and all of them can be read.
Result<void> check_certificates(const std::string& pem);

Result<TlsMaterial> read_tls_files(const TlsFiles& files);

/// Immutable; safe from any thread. TLS 1.2 and 1.3, no session tickets, no renegotiation. Idle
/// connections keep no buffers.
class TlsContext {
 public:
  using Clock = std::chrono::system_clock;

  /// Fails if something does not parse or the key does not match the certificate. Accepts an
  /// expired certificate: the caller decides what to do about it.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsMaterial& material);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  SSL_CTX* native() const { return context_; }
  Clock::time_point not_before() const { return not_before_; }
  Clock::time_point not_after() const { return not_after_; }
  /// Checks that a client that trusts these authorities (PEM) accepts this certificate now. Does
  /// not check the host name. Errors give OpenSSL's reason.
  Result<void> verified_by(const std::string& authorities) const;
  bool valid_at(Clock::time_point now) const { return not_before_ <= now && now < not_after_; }
  /// The certificate's subject, for the log.
  const std::string& subject() const { return subject_; }

 private:
  explicit TlsContext(SSL_CTX* context) : context_(context) {}

  SSL_CTX* context_;
  Clock::time_point not_before_;
  Clock::time_point not_after_;
  std::string subject_;
};

/// Holds the context for new connections. Safe from any thread.
class TlsStore {
 public:
  /// Null until the first successful replace().
  std::shared_ptr<const TlsContext> current() const;

  /// Builds a context from `material` and makes it current. Keeps the current context if that
  /// fails, or if the new certificate is expired or not valid yet while the current one is valid.
  /// Logs and counts both outcomes, and also a certificate outside its validity period that becomes
  /// current. Does nothing if `material` is already current.
  Result<void> replace(const TlsMaterial& material);
  /// Reads the files and calls replace(). An unreadable file also counts as a failure.
  Result<void> reload(const TlsFiles& files);
  /// The same with a certificate that is already in memory. An empty path means that clients need
  /// no certificate.
  Result<void> reload_with(TlsMaterial material, const std::string& client_ca_file);

  /// Whether there is a certificate and it is within its validity period.
  bool usable() const;
  /// Seconds since 1970; 0 without a certificate.
  double expiry_seconds() const;
  std::uint64_t reloads() const { return reloads_; }
  std::uint64_t reload_failures() const { return failures_; }
  /// Certificates that became current although expired or not valid yet, because none was better.
  std::uint64_t out_of_dates() const { return out_of_dates_; }

 private:
  Result<void> failed(Error error);

  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> current_;
  TlsMaterial in_place_;
  std::string last_failure_;
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> out_of_dates_{0};
};

}  // namespace sidetap::http
