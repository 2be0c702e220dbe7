// How a session is protected, as an operator says it.
#pragma once

#include <cstdint>
#include <string>

namespace sidetap::session {

enum class TlsRole : std::uint8_t {
  kNone,
  kServer,  ///< The sensor begins the handshake, in active mode too: libpcap's "rpcaps".
  kClient,  ///< The tap begins it.
};

/// TLS 1.2 or later for control and TCP data. Captures over UDP are refused then. Files are PEM and
/// read at each dial, so that they may be renewed.
struct TlsSettings {
  TlsRole role = TlsRole::kNone;
  std::string certificate_file{};  ///< Chain. Required of a server; of a client where it has one.
  std::string key_file{};
  /// Who may have signed the peer's certificate. A server without asks for none; a client without
  /// trusts the system's.
  std::string ca_file{};
  /// Client: name to ask for (SNI) and to find in the certificate. Empty: the sensor's host.
  std::string server_name{};
};

}  // namespace sidetap::session
