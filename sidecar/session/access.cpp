#include "sidecar/session/access.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "shared/read_file.h"

namespace sidetap::session {
namespace {

/// The folder where a Secret is mounted.
class SecretFolder {
 public:
  explicit SecretFolder(std::string path) : path_(std::move(path)) {}

  std::string path_of(const char* name) const { return path_ + "/" + name; }
  bool has(const char* name) const {
    std::error_code unreadable;
    return std::filesystem::exists(path_of(name), unreadable);
  }
  bool is_empty() const {
    constexpr std::array kNames = {kSecretCa, kSecretCertificate, kSecretKey, kSecretUser,
                                   kSecretPassword};
    return std::none_of(kNames.begin(), kNames.end(),
                        [this](const char* name) { return has(name); });
  }
  Error lacks(const char* name, const std::string& needed_for) const {
    return {path_of(name) + " is missing, which " + needed_for + " needs; add it to the Secret"};
  }
  Result<std::string> value_of(const char* name) const { return read_value(path_of(name)); }

 private:
  std::string path_;
};

/// Sets a file that no option names.
void fill_in(const SecretFolder& secret, const char* name, std::string& file) {
  if (file.empty() && secret.has(name)) file = secret.path_of(name);
}

Result<void> complete_tls(const SecretFolder& secret, TlsSettings& tls) {
  if (tls.role == TlsRole::kNone) return {};
  fill_in(secret, kSecretCa, tls.ca_file);
  fill_in(secret, kSecretCertificate, tls.certificate_file);
  fill_in(secret, kSecretKey, tls.key_file);
  const bool server = tls.role == TlsRole::kServer;
  if (tls.role == TlsRole::kClient && tls.ca_file.empty())
    return secret.lacks(kSecretCa, "--sensor-tls client");
  if (tls.certificate_file.empty() && (server || !tls.key_file.empty()))
    return secret.lacks(kSecretCertificate, server ? "--sensor-tls rpcaps" : kSecretKey);
  if (tls.key_file.empty() && !tls.certificate_file.empty())
    return secret.lacks(kSecretKey, kSecretCertificate);
  return {};
}

Result<void> complete_user(const SecretFolder& secret, const std::optional<std::string>& password,
                           Access& access) {
  if (access.user.empty() && secret.has(kSecretUser)) {
    auto user = secret.value_of(kSecretUser);
    if (!user) return user.error();
    // It would mean that everybody is let in.
    if (user->empty()) return Error{secret.path_of(kSecretUser) + " is empty"};
    access.user = std::move(*user);
  }
  const bool has_password = password || secret.has(kSecretPassword);
  if (access.user.empty() && has_password) return secret.lacks(kSecretUser, "the password");
  if (access.user.empty() || password) return {};
  if (!has_password) return secret.lacks(kSecretPassword, "the user name");
  auto read = secret.value_of(kSecretPassword);
  if (!read) return read.error();
  access.password = std::move(*read);
  return {};
}

}  // namespace

Result<Access> read_access(const SessionsConfig& config) {
  Access access{
      .tls = config.tls, .user = config.user, .password = config.password.value_or(std::string())};
  if (access.tls.role == TlsRole::kRegistry) {
    if (config.registry_ca) access.tls.ca_text = config.registry_ca();
    if (access.tls.ca_text.empty())
      return Error{"--sensor-tls registry: the tap knows no CA of the registry"};
  }
  if (config.secret_folder.empty()) return access;
  const SecretFolder secret(config.secret_folder);
  if (secret.is_empty())
    return Error{config.secret_folder +
                 " holds no file of a Secret; create the Secret in the pod's namespace"};
  if (auto tls = complete_tls(secret, access.tls); !tls) return tls.error();
  if (auto user = complete_user(secret, config.password, access); !user) return user.error();
  return access;
}

SessionsConfig proved_by_registry(SessionsConfig config) {
  if (config.tls.role != TlsRole::kRegistry) return config;
  config.secret_folder.clear();
  config.user.clear();
  config.password.reset();
  config.tls.ca_file.clear();
  config.tls.server_name.clear();
  return config;
}

}  // namespace sidetap::session
