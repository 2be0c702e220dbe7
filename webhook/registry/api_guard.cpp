#include "webhook/registry/api_guard.h"

#include <utility>

#include "shared/bearer.h"
#include "webhook/registry/authenticator.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

Verdict verdict_of(bool allowed) {
  return {allowed ? Verdict::Kind::kAllowed : Verdict::Kind::kForbidden};
}

}  // namespace

ApiGuard::ApiGuard(ApiQueue& queue, ApiGuardConfig config)
    : config_(config),
      queue_(queue),
      users_(config.most_remembered),
      allowed_(config.most_remembered) {}

std::optional<Verdict> ApiGuard::recall(const std::string& token, const std::string& path) const {
  const auto now = Clock::now();
  const auto* const user = users_.find(token, now);
  if (user == nullptr) return std::nullopt;
  if (!*user) return Verdict{Verdict::Kind::kBadToken};
  const bool* const allowed = allowed_.find(token + path, now);
  if (allowed == nullptr) return std::nullopt;
  return verdict_of(*allowed);
}

asio::awaitable<Verdict> ApiGuard::check(Asker asker, std::string authorization, std::string path) {
  using Kind = Verdict::Kind;
  std::string token = bearer_of(authorization);
  if (token.empty()) co_return Verdict{Kind::kNoToken};
  if (!is_bearer_token(token)) co_return Verdict{Kind::kBadToken};
  std::string key = digest_of(token);
  if (auto known = recall(key, path)) co_return std::move(*known);
  const ApiQueue::Turn turn = co_await queue_.wait_for_turn(asker.source);
  if (turn.crowded_out) co_return Verdict{Kind::kCrowdedOut};
  if (!turn.client || !asker.wanted()) co_return Verdict{};
  // Another request with this token may have been answered meanwhile.
  if (auto known = recall(key, path)) co_return std::move(*known);
  auto verdict = co_await review(*turn.client, std::move(token), std::move(key), std::move(path));
  co_return verdict;
}

asio::awaitable<Verdict> ApiGuard::review(kube::Client& client, std::string token, std::string key,
                                          std::string path) {
  using Kind = Verdict::Kind;
  std::optional<kube::User> user;
  if (const auto* const known = users_.find(key, Clock::now())) {
    user = *known;
  } else {
    auto found = co_await kube::authenticate(client, std::move(token));
    if (!found) co_return Verdict{Kind::kUnavailable, found.error().text};
    user = std::move(*found);
    const auto now = Clock::now();
    const bool good = user.has_value();
    users_.keep(key, user, good, now + (good ? config_.token : config_.refused), now);
  }
  if (!user) co_return Verdict{Kind::kBadToken};
  const auto may = co_await kube::may_get(client, std::move(*user), path);
  if (!may) co_return Verdict{Kind::kUnavailable, may.error().text};
  const auto now = Clock::now();
  allowed_.keep(key + path, *may, *may, now + (*may ? config_.allowed : config_.refused), now);
  co_return verdict_of(*may);
}

}  // namespace sidetap::webhook::registry
