// Who may get a route of the registry: as the API server says, by its RBAC. Caches its answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/kube/access.h"
#include "webhook/registry/answer_cache.h"
#include "webhook/registry/api_queue.h"

namespace sidetap::webhook::registry {

struct ApiGuardConfig {
  std::chrono::milliseconds token{120'000};    ///< For whom a token identifies.
  std::chrono::milliseconds allowed{300'000};  ///< For what a user may do.
  /// For a token that identifies nobody, and for what a user may not do: somebody may just be
  /// setting it up.
  std::chrono::milliseconds refused{30'000};
  std::size_t most_remembered = 4'096;  ///< Tokens, and pairs of a token and a path.
};

struct Verdict {
  enum class Kind {
    kAllowed,
    kNoToken,
    kBadToken,     ///< It identifies nobody.
    kForbidden,    ///< The user may not get this path.
    kCrowdedOut,   ///< Too many requests wait, most of them from this source.
    kUnavailable,  ///< The API server does not answer, or refuses the review.
    kUnwanted,     ///< Nobody waits for the answer anymore.
  };
  Kind kind = Kind::kUnwanted;
  std::string reason{};  ///< For kUnavailable.

  bool is(Kind other) const { return kind == other; }
};

/// Use it on one strand.
class ApiGuard {
 public:
  /// `queue` must outlive this object. Its stop() ends all requests as kUnwanted.
  ApiGuard(ApiQueue& queue, ApiGuardConfig config);

  /// `authorization` is the value of that header field, `path` the request's without its query.
  boost::asio::awaitable<Verdict> check(Asker asker, std::string authorization, std::string path);

 private:
  /// The verdict as far as it is remembered.
  std::optional<Verdict> recall(const std::string& token, const std::string& path) const;
  boost::asio::awaitable<Verdict> review(kube::Client& client, std::string token, std::string key,
                                         std::string path);

  const ApiGuardConfig config_;
  ApiQueue& queue_;
  AnswerCache<std::optional<kube::User>> users_;  ///< By digest_of() the token.
  AnswerCache<bool> allowed_;                     ///< By that and the path.
};

}  // namespace sidetap::webhook::registry
