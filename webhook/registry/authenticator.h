// Identifies the pod of a token through the API server, and caches the answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/kube/access.h"
#include "shared/kube/client.h"
#include "shared/net/ip_address.h"
#include "webhook/registry/answer_cache.h"
#include "webhook/registry/api_queue.h"

namespace sidetap::webhook::registry {

struct AuthenticatorConfig {
  std::string audience = "sidetap";
  std::chrono::seconds remember{300};
  /// For refused tokens. Shorter, because the API server may not have been up to date.
  std::chrono::seconds remember_refused{10};
  std::size_t most_remembered = 50'000;
};

/// The key under which a token is remembered: its SHA-256. The token itself is not kept.
std::string digest_of(const std::string& token);

/// Use it on one strand.
class Authenticator {
 public:
  using TokenAnswer = ApiAnswer<kube::TokenIdentity>;
  /// Nothing: the API server does not say (the right to get pods is optional), or the pod no longer
  /// exists.
  using AddressesAnswer = ApiAnswer<std::optional<std::vector<net::IpAddress>>>;

  /// `queue` must outlive this object. Its stop() ends all requests without an answer.
  Authenticator(ApiQueue& queue, AuthenticatorConfig config);

  /// Identifies the pod that `token` is bound to. Refused tokens are cached too, but not for long.
  boost::asio::awaitable<TokenAnswer> identify(Asker asker, std::string token);
  /// The addresses of that pod, as known to the API server.
  boost::asio::awaitable<AddressesAnswer> addresses_of(Asker asker, kube::TokenIdentity identity);

 private:
  void remember(const std::string& key, const kube::TokenIdentity& identity);

  const AuthenticatorConfig config_;
  ApiQueue& queue_;
  AnswerCache<kube::TokenIdentity> known_;  ///< By digest_of() the token.
};

}  // namespace sidetap::webhook::registry
