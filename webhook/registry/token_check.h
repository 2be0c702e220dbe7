// Who a connection is, by the token of its upgrade request.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/kube/access.h"
#include "shared/telemetry/log_throttle.h"
#include "shared/telemetry/metrics.h"
#include "webhook/registry/authenticator.h"
#include "webhook/registry/session.h"

namespace sidetap::webhook::registry {

/// Use it on the registry's thread.
class TokenCheck {
 public:
  /// Without an authenticator, anybody is admitted, as nobody in particular. It and `metrics` must
  /// outlive this object, and this object the coroutines of admit().
  TokenCheck(Authenticator* authenticator, std::string audience,
             telemetry::MetricsRegistry& metrics);

  /// The identity of the peer; nothing if the request was declined, or nobody waits for it anymore.
  boost::asio::awaitable<std::optional<kube::TokenIdentity>> admit(Session& session);
  /// Declines nothing from now on.
  void stop() { stopping_ = true; }

 private:
  boost::asio::awaitable<std::optional<kube::TokenIdentity>> identify(Session& session,
                                                                      std::string token);
  boost::asio::awaitable<void> decline(Session& session, const char* kind, unsigned status,
                                       std::string reason);

  Authenticator* const authenticator_;
  const std::string audience_;
  telemetry::MetricsRegistry& metrics_;
  telemetry::LogThrottle faults_{5, std::chrono::minutes(1)};
  bool stopping_ = false;
};

}  // namespace sidetap::webhook::registry
