// A TLS client that sends the test's bytes unchanged and reads the answers.
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

/// Connects to 127.0.0.1. Blocking, like RawClient. Throws OpenSSL's reason if the handshake fails.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port, const TlsClientOptions& options = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool send(std::string_view bytes);
  /// The TLS records for `bytes`. Send them to the peer in order with send_raw().
  std::string sealed(std::string_view bytes);
  bool send_raw(std::string_view bytes) { return tcp_.send(bytes); }
  /// Reads one answer: its header and the body by Content-Length. Returns less if the peer ends
  /// earlier.
  std::string read_answer();
  /// Reads everything until the peer ends the connection. Throws after ten seconds of silence.
  std::string read_all();
  /// Reads up to `words` and what came with them. Returns less if the peer ends earlier.
  std::string read_until(std::string_view words);
  /// The common name of the server's certificate
  std::string server_subject() const;
  int fd() const { return tcp_.fd(); }

 private:
  /// Returns false at the end.
  bool read_more();

  RawClient tcp_;
  SSL_CTX* context_;
  SSL* session_;
  std::string received_;
};

/// Sends one request on its own connection. Returns everything until the server ends the
/// connection.
std::string ask_tls(std::uint16_t port, std::string_view request);

}  // namespace sidetap::testing_support
