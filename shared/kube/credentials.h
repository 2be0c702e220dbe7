// The API server's address and a client's credentials, as every pod finds them in its environment
// and file system.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::kube {

/// Holds paths instead of contents, because the kubelet renews the token and the CA may be rotated.
struct Credentials {
  net::HostPort server;
  std::string ca_file;     ///< PEM bundle that signs the API server's certificate.
  std::string token_file;  ///< Bearer token. Empty: no token is sent.
  std::string pod_namespace;
};

using Environment = std::function<std::optional<std::string>(const std::string&)>;

/// In-cluster credentials: KUBERNETES_SERVICE_HOST and _PORT, and the service account's folder
/// (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/). Errors name what is
/// missing.
Result<Credentials> in_cluster_credentials(
    const Environment& environment,
    const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

/// The file's text without surrounding white space.
Result<std::string> read_trimmed(const std::string& path);

/// The bearer token that is in the file now. Errors: the file cannot be read, is empty, or is
/// larger than any token (an HTTP library may throw on such a large header value).
Result<std::string> read_token(const std::string& path);

}  // namespace sidetap::kube
