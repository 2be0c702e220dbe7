// Whom a token identifies for the API server itself, and what that user may do. With both, a server
// guards its own routes by the cluster's RBAC, as kube-rbac-proxy does.
#pragma once

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "shared/kube/client.h"
#include "shared/result.h"

namespace sidetap::kube {

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
