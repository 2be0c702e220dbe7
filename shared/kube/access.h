// Whom a token identifies, and what a user may do. With both, a server guards its own routes by the
// cluster's RBAC, as kube-rbac-proxy does.
#pragma once

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "shared/kube/client.h"
#include "shared/result.h"

namespace sidetap::kube {

/// What a TokenReview said (authentication.k8s.io/v1).
struct TokenIdentity {
  bool authenticated = false;
  std::string user;        ///< "system:serviceaccount:NAMESPACE:NAME"
  std::string name_space;  ///< Of a service account; otherwise empty.
  std::string pod_name;    ///< For a token bound to a pod; otherwise empty.
  std::string pod_uid;
  std::string node_name;  ///< Likewise. Empty before Kubernetes 1.30.
  std::string reason;     ///< The server's reason if not authenticated.
};

/// Asks the API server whom `token` identifies, for `audience`.
boost::asio::awaitable<Result<TokenIdentity>> review_token(Client& client, std::string token,
                                                           std::string audience);

/// A user as a TokenReview describes it.
struct User {
  std::string name;
  std::string uid;
  nlohmann::json groups;  ///< An array of texts, or null.
  nlohmann::json extra;   ///< Arrays of texts by key, or null.
};

/// Asks the API server whom `token` identifies, for the server's own audience: a token for another
/// one identifies nobody.
boost::asio::awaitable<Result<std::optional<User>>> authenticate(Client& client, std::string token);

/// Asks the API server (SubjectAccessReview) whether the user may get `path`, which is no path of
/// the API server's resources.
boost::asio::awaitable<Result<bool>> may_get(Client& client, User user, std::string path);

}  // namespace sidetap::kube
