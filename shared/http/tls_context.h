// What a TLS server shows: certificate, key, and the CAs of its clients; replaced while it serves.
//
// A new context is built whole before it takes the place of the old, so that a bad certificate
// never reaches a handshake, and connections of the old one live on.
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

/// PEM texts. The certificate's issuers, up to but without the root, follow it.
struct TlsMaterial {
  std::string certificate;
  std::string key;
  std::string client_ca = {};  ///< Not empty: a client must show a certificate that these sign.

  friend bool operator==(const TlsMaterial&, const TlsMaterial&) = default;
};

/// Where the material lies; client_ca may be empty.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca = {};
};

/// Fails unless `pem` holds a certificate, and every one that it holds can be read.
Result<void> check_certificates(const std::string& pem);

Result<TlsMaterial> read_tls_files(const TlsFiles& files);

/// Immutable, any thread. TLS 1.2 and 1.3; no session tickets, no renegotiation. Buffers of idle
/// connections are given back.
class TlsContext {
 public:
  using Clock = std::chrono::system_clock;

  /// Fails when something does not parse or the key is not the certificate's. An expired
  /// certificate is taken: what follows from it is the caller's to decide.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsMaterial& material);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  SSL_CTX* native() const { return context_; }
  Clock::time_point not_before() const { return not_before_; }
  Clock::time_point not_after() const { return not_after_; }
  /// Would a client that trusts these authorities (PEM) take this certificate now? Whether it is
  /// for the name that the client dials is not looked at. Errors name OpenSSL's reason.
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

/// The context that new connections get. Any thread.
class TlsStore {
 public:
  /// Null until the first replace() that succeeded.
  std::shared_ptr<const TlsContext> current() const;

  /// Builds a context from `material` and puts it in place. When that fails, or when the new
  /// certificate is expired or not valid yet and the present one is neither, the present one stays.
  /// Logs and counts either, and a certificate out of its dates that is put in place. Does nothing
  /// when `material` is already in place.
  Result<void> replace(const TlsMaterial& material);
  /// Reads the files and replaces. A file that cannot be read is a failure too.
  Result<void> reload(const TlsFiles& files);
  /// The same with a certificate that comes from elsewhere; an empty path: any client.
  Result<void> reload_with(TlsMaterial material, const std::string& client_ca_file);

  /// There is a certificate and it is within its dates.
  bool usable() const;
  /// Seconds since 1970; 0 without a certificate.
  double expiry_seconds() const;
  std::uint64_t reloads() const { return reloads_; }
  std::uint64_t reload_failures() const { return failures_; }
  /// Certificates put in place for want of a better one, though expired or not valid yet.
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
