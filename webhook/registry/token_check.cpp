#include "webhook/registry/token_check.h"

#include <utility>

#include "shared/bearer.h"
#include "shared/registry/messages.h"
#include "shared/telemetry/log.h"
#include "webhook/registry/metrics.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;

}  // namespace

TokenCheck::TokenCheck(Authenticator* authenticator, std::string audience,
                       telemetry::MetricsRegistry& metrics)
    : authenticator_(authenticator), audience_(std::move(audience)), metrics_(metrics) {}

asio::awaitable<void> TokenCheck::decline(Session& session, const char* kind, unsigned status,
                                          std::string reason) {
  count_refused(metrics_, kind);
  return session.decline(status, std::move(reason));
}

asio::awaitable<std::optional<kube::TokenIdentity>> TokenCheck::admit(Session& session) {
  if (session.request().target() != sidetap::registry::kPath || !session.request().is_upgrade()) {
    co_await decline(session, "protocol", 404, "there is the WebSocket /v1/taps");
    co_return std::nullopt;
  }
  if (authenticator_ == nullptr) co_return kube::TokenIdentity{};
  std::string token = bearer_of(session.request().field("Authorization"));
  if (token.empty()) {
    co_await decline(session, "no-token", 401, "no bearer token");
    co_return std::nullopt;
  }
  if (!is_bearer_token(token)) {
    co_await decline(session, "token", 401, "the bearer token is malformed");
    co_return std::nullopt;
  }
  auto identity = co_await identify(session, std::move(token));
  co_return identity;
}

asio::awaitable<std::optional<kube::TokenIdentity>> TokenCheck::identify(Session& session,
                                                                         std::string token) {
  Asker asker{session.source(), [&session] { return !session.has_ended(); }};
  const auto answer = co_await authenticator_->identify(std::move(asker), std::move(token));
  using Kind = Authenticator::TokenAnswer::Kind;
  if (stopping_ || answer.is(Kind::kUnwanted)) co_return std::nullopt;
  if (!answer.is(Kind::kAnswered)) {
    const bool crowded_out = answer.is(Kind::kCrowdedOut);
    if (!crowded_out) {
      if (const auto kept_back = faults_.admit())
        telemetry::warn("a tap's token cannot be checked",
                        {{"reason", answer.reason}, {"not_logged", *kept_back}});
    }
    co_await decline(session, crowded_out ? "crowded-out" : "api-server", 503,
                     "the token cannot be checked now");
    co_return std::nullopt;
  }
  const kube::TokenIdentity& identity = answer.value;
  if (!identity.authenticated || identity.pod_name.empty()) {
    co_await decline(session, "token", 403,
                     "the token is not that of a pod for audience " + audience_);
    co_return std::nullopt;
  }
  co_return identity;
}

}  // namespace sidetap::webhook::registry
