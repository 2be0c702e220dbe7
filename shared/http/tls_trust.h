// The CAs with which a TLS client verifies a server.
#pragma once

#include <memory>
#include <string>

#include <openssl/types.h>

#include "shared/result.h"

namespace sidetap::http {

/// For a client's session: the server's certificate must be for `name`, a host name or an address
/// in text. A host name is told the server (SNI).
void expect_server(SSL* session, const std::string& name);

/// Immutable, any thread. TLS 1.2 and 1.3.
class TlsTrust {
 public:
  /// `pem` holds at least one certificate, and nothing that cannot be read. From then on the
  /// process ignores SIGPIPE: see ignore_sigpipe().
  static Result<std::shared_ptr<const TlsTrust>> make(const std::string& pem);
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;

  /// A session whose handshake succeeds only if these CAs sign the server's certificate and it is
  /// valid for `name`, a host name or a textual address. The caller frees it. Throws
  /// std::bad_alloc.
  SSL* make_session(const std::string& name) const;

 private:
  explicit TlsTrust(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_;
};

}  // namespace sidetap::http
