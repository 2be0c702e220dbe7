#include "shared/kube/credentials.h"

#include "shared/read_file.h"

namespace sidetap::kube {
namespace {

/// A service account's token has one or two KiB.
constexpr std::size_t kMostTokenBytes = 32u << 10;

}  // namespace

Result<std::string> read_trimmed(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  const auto begin = text->find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return Error{path + ": is empty"};
  return text->substr(begin, text->find_last_not_of(" \t\r\n") - begin + 1);
}

Result<std::string> read_token(const std::string& path) {
  auto token = read_trimmed(path);
  if (!token) return Error{"token file " + token.error().text};
  if (token->size() > kMostTokenBytes) {
    return Error{"token file " + path + ": holds " + std::to_string(token->size()) +
                 " bytes, which is no token"};
  }
  return token;
}

Result<Credentials> in_cluster_credentials(const Environment& environment,
                                           const std::string& folder) {
  const auto host = environment("KUBERNETES_SERVICE_HOST");
  const auto port = environment("KUBERNETES_SERVICE_PORT");
  if (!host || host->empty() || !port || port->empty()) {
    return Error{
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not in a cluster"};
  }
  const bool v6 = host->find(':') != std::string::npos;
  auto server = net::parse_host_port((v6 ? "[" + *host + "]" : *host) + ":" + *port);
  if (!server) return Error{"API server address: " + server.error().text};
  auto pod_namespace = read_trimmed(folder + "/namespace");
  if (!pod_namespace) return pod_namespace.error();
  Credentials credentials{*server, folder + "/ca.crt", folder + "/token", *pod_namespace};
  for (const auto& path : {credentials.ca_file, credentials.token_file}) {
    if (const auto text = read_trimmed(path); !text) return text.error();
  }
  return credentials;
}

}  // namespace sidetap::kube
