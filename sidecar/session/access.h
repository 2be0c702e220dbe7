// What a session needs for TLS and authentication: the operator's options, completed by the files
// of a mounted Secret.
//
// The kubelet updates a mounted Secret in place. A Secret that does not exist yet is an empty
// folder. The files are therefore read for each session, and what is missing is no reason to end.
#pragma once

#include <string>

#include "shared/result.h"
#include "sidecar/session/sessions.h"
#include "sidecar/session/tls_settings.h"

namespace sidetap::session {

/// Files of the Secret. All but those that the options name are used where they are present.
inline constexpr const char* kSecretCa = "ca.crt";
inline constexpr const char* kSecretCertificate = "tls.crt";
inline constexpr const char* kSecretKey = "tls.key";
inline constexpr const char* kSecretUser = "username";
inline constexpr const char* kSecretPassword = "password";

struct Access {
  TlsSettings tls{};
  std::string user{};  ///< Empty: only null authentication.
  std::string password{};
};

/// Without `config.secret_folder`, returns the configured values and reads nothing. With it, never
/// falls back to something weaker than the Secret is meant to give. It is an Error, which names the
/// file, if
/// - the folder has none of the files,
/// - a TLS client has no CA, a TLS server no certificate, or a certificate and its key are not both
///   there,
/// - there is a user name without a password, or a password without a user name.
/// The system's CAs count only if the options name them.
///
/// With TlsRole::kRegistry, fills in TlsSettings::ca_text. It is an Error if no CA is known.
Result<Access> read_access(const SessionsConfig& config);

/// `config` for sensors that TlsRole::kRegistry proves: without the Secret, the user, the CA and
/// the name that the operator has given for other sensors. For another role, `config` as it is.
SessionsConfig proved_by_registry(SessionsConfig config);

}  // namespace sidetap::session
