// The operator's TLS settings for sessions.
#pragma once

#include <cstdint>
#include <string>

namespace sidetap::session {

enum class TlsRole : std::uint8_t {
  kNone,
  kServer,  ///< The sensor starts the handshake, also in active mode (libpcap's "rpcaps").
  kClient,  ///< The tap starts the handshake.
  /// The same, and the registry's CA must have signed the sensor's certificate, which is for the
  /// sensor's host. That alone proves the sensor; see proved_by_registry().
  kRegistry,
};

/// TLS 1.2 or later protects control and TCP data. Captures over UDP are then refused. Files are
/// PEM and are read for each connection, so that they may be renewed.
struct TlsSettings {
  TlsRole role = TlsRole::kNone;
  std::string certificate_file{};  ///< Chain. Required for a server, optional for a client.
  std::string key_file{};
  /// The CAs that may sign the peer's certificate. If empty, a server requests no certificate, and
  /// kClient trusts the system's CAs.
  std::string ca_file{};
  /// PEM: the CAs in place of those of `ca_file`. Empty: none.
  std::string ca_text{};
  /// Client: the name to send (SNI) and to verify in the certificate. Empty: the sensor's host.
  std::string server_name{};
};

}  // namespace sidetap::session
