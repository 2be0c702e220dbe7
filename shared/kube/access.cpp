#include "shared/kube/access.h"

#include <algorithm>
#include <utility>

#include "shared/json_members.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;

/// "shop" of "system:serviceaccount:shop:default".
std::string namespace_of(const std::string& user) {
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  if (!user.starts_with(kPrefix)) return {};
  return user.substr(kPrefix.size(), user.find(':', kPrefix.size()) - kPrefix.size());
}

/// The status that the API server gives an object of this kind, in version v1 of the group.
asio::awaitable<Result<nlohmann::json>> status_of(Client& client, std::string group,
                                                  std::string kind, std::string resource,
                                                  nlohmann::json spec) {
  std::string path = "/apis/" + group + "/v1/" + resource;
  nlohmann::json object = {
      {"apiVersion", group + "/v1"}, {"kind", kind}, {"spec", std::move(spec)}};
  const auto response = co_await client.create(std::move(path), std::move(object));
  if (!response) co_return response.error();
  if (!response->ok()) co_return Error{kind + ": " + response->describe()};
  nlohmann::json status = member(response->body, "status");
  co_return status;
}

asio::awaitable<Result<nlohmann::json>> token_review(Client& client, nlohmann::json spec) {
  return status_of(client, "authentication.k8s.io", "TokenReview", "tokenreviews", std::move(spec));
}

}  // namespace

asio::awaitable<Result<TokenIdentity>> review_token(Client& client, std::string token,
                                                    std::string audience) {
  nlohmann::json spec = {{"token", std::move(token)}, {"audiences", {audience}}};
  const auto status = co_await token_review(client, std::move(spec));
  if (!status) co_return status.error();
  TokenIdentity identity;
  // A server without support for audiences omits them: then the token proves nothing here.
  const auto& audiences = member(*status, "audiences");
  const bool for_us = audiences.is_array() &&
                      std::find(audiences.begin(), audiences.end(), audience) != audiences.end();
  identity.authenticated = member(*status, "authenticated") == true && for_us;
  identity.reason =
      for_us ? text_of(*status, "error") : "the token is not for audience " + audience;
  const auto& user = member(*status, "user");
  identity.user = text_of(user, "username");
  identity.name_space = namespace_of(identity.user);
  const auto& extra = member(user, "extra");
  const auto first = [&](const char* key) {
    const auto& values = member(extra, key);
    return values.is_array() && !values.empty() ? text_or_empty(values[0]) : std::string();
  };
  identity.pod_name = first("authentication.kubernetes.io/pod-name");
  identity.pod_uid = first("authentication.kubernetes.io/pod-uid");
  identity.node_name = first("authentication.kubernetes.io/node-name");
  co_return identity;
}

asio::awaitable<Result<std::optional<User>>> authenticate(Client& client, std::string token) {
  nlohmann::json spec = {{"token", std::move(token)}};
  const auto status = co_await token_review(client, std::move(spec));
  if (!status) co_return status.error();
  const auto& user = member(*status, "user");
  std::optional<User> found;
  if (member(*status, "authenticated") == true && !text_of(user, "username").empty()) {
    found = User{text_of(user, "username"), text_of(user, "uid"), member(user, "groups"),
                 member(user, "extra")};
  }
  co_return found;
}

asio::awaitable<Result<bool>> may_get(Client& client, User user, std::string path) {
  nlohmann::json attributes = {{"path", std::move(path)}, {"verb", "get"}};
  nlohmann::json spec = {{"user", std::move(user.name)},
                         {"nonResourceAttributes", std::move(attributes)}};
  if (!user.uid.empty()) spec["uid"] = std::move(user.uid);
  if (!user.groups.is_null()) spec["groups"] = std::move(user.groups);
  if (!user.extra.is_null()) spec["extra"] = std::move(user.extra);
  const auto status = co_await status_of(client, "authorization.k8s.io", "SubjectAccessReview",
                                         "subjectaccessreviews", std::move(spec));
  if (!status) co_return status.error();
  co_return member(*status, "allowed") == true && !(member(*status, "denied") == true);
}

}  // namespace sidetap::kube
