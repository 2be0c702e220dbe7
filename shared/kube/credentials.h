// Where the API server is and who we are there: what every pod finds in its own file system.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "shared/net/host_port.h"
#include "shared/result.h"

namespace sidetap::kube {

/// Paths instead of contents: the kubelet renews the token, and the CA may be rotated.
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

/// The file's text without the white space around it.
Result<std::string> read_trimmed(const std::string& path);

/// The bearer token in a file, as of now. Error: the file cannot be read, is empty, or is larger
/// than any token (an HTTP library may throw where a header's value is as large).
Result<std::string> read_token(const std::string& path);

}  // namespace sidetap::kube
