#include "shared/kube/access.h"

#include <utility>

#include "shared/json_members.h"

namespace sidetap::kube {
namespace {

namespace asio = boost::asio;

}  // namespace

asio::awaitable<Result<std::optional<User>>> authenticate(Client& client, std::string token) {
  nlohmann::json review = {{"apiVersion", "authentication.k8s.io/v1"},
                           {"kind", "TokenReview"},
                           {"spec", {{"token", std::move(token)}}}};
  const auto response =
      co_await client.create("/apis/authentication.k8s.io/v1/tokenreviews", std::move(review));
  if (!response) co_return response.error();
  if (!response->ok()) co_return Error{"TokenReview: " + response->describe()};
  const auto& status = member(response->body, "status");
  const auto& user = member(status, "user");
  std::optional<User> found;
  if (member(status, "authenticated") == true && !text_of(user, "username").empty()) {
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
  nlohmann::json review = {{"apiVersion", "authorization.k8s.io/v1"},
                           {"kind", "SubjectAccessReview"},
                           {"spec", std::move(spec)}};
  const auto response = co_await client.create("/apis/authorization.k8s.io/v1/subjectaccessreviews",
                                               std::move(review));
  if (!response) co_return response.error();
  if (!response->ok()) co_return Error{"SubjectAccessReview: " + response->describe()};
  const auto& status = member(response->body, "status");
  co_return member(status, "allowed") == true && !(member(status, "denied") == true);
}

}  // namespace sidetap::kube
