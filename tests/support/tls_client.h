// A TLS client that sends bytes as they are written in the test, and reads what comes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

#include "tests/support/certificates.h"
#include "tests/support/raw_client.h"

namespace sidetap::testing_support {

struct TlsClientOptions {
  std::string ca = {};  ///< PEM; empty: any server is trusted.
  KeyPair own = {};     ///< Shown to the server when not empty.
  int version = 0;      ///< TLS1_1_VERSION and so on; 0: whatever both can.
};

/// To 127.0.0.1. Blocking, as RawClient. Throws when the handshake fails, with OpenSSL's reason.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool send(std::string_view bytes);
  /// The TLS records that would carry `bytes`; the peer must get them in order, with send_raw().
  std::string sealed(std::string_view bytes);
  bool send_raw(std::string_view bytes) { return tcp_.send(bytes); }
  /// One answer: its header and the body of its Content-Length. Less when the peer ended before.
  std::string read_answer();
  /// Everything until the peer ends. Throws after ten seconds of silence.
  std::string read_all();
  /// Subject of the server's certificate, its common name
  std::string server_subject() const;
  int fd() const { return tcp_.fd(); }

 private:
  /// False at the end.
  bool read_more();

  RawClient tcp_;
  SSL_CTX* context_;
  SSL* session_;
  std::string received_;
};

/// One request on a connection of its own; everything until the server ends it.
std::string ask_tls(std::uint16_t port, std::string_view request);

}  // namespace sidetap::testing_support
