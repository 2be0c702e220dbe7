// Whose a token is, asked of the API server once and remembered for a while.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/kube/client.h"
#include "shared/net/ip_address.h"

namespace sidetap::webhook::registry {

struct AuthenticatorConfig {
  std::string audience = "sidetap";
  std::chrono::seconds remember{300};
  /// Tokens that were refused: the API server may have been behind.
  std::chrono::seconds remember_refused{10};
  std::size_t most_remembered = 50'000;
  std::size_t connections = 4;  ///< To the API server, at once.
};

/// One strand.
class Authenticator {
 public:
  Authenticator(boost::asio::any_io_executor executor, const kube::Credentials& credentials,
                AuthenticatorConfig config);

  /// The pod to which `token` is bound. Errors: the API server does not answer. Tokens that are
  /// good for nothing are remembered too, but not for long.
  boost::asio::awaitable<Result<kube::TokenIdentity>> identify(std::string token);
  /// The addresses of that pod as the API server knows them; nothing when it does not tell (the
  /// right to get pods is not required) or the pod is no more. Errors: it does not answer.
  boost::asio::awaitable<Result<std::optional<std::vector<net::IpAddress>>>> addresses_of(
      kube::TokenIdentity identity);

 private:
  using Clock = std::chrono::steady_clock;
  struct Known {
    kube::TokenIdentity identity;
    Clock::time_point until;
  };

  boost::asio::awaitable<std::unique_ptr<kube::Client>> borrow();
  void give_back(std::unique_ptr<kube::Client> client);
  void forget_old();

  AuthenticatorConfig config_;
  std::map<std::string, Known> known_;  ///< By the token's SHA-256: tokens are not kept.
  std::vector<std::unique_ptr<kube::Client>> idle_;
  boost::asio::steady_timer freed_;  ///< Cancelled, one at a time, when a client comes back.
};

}  // namespace sidetap::webhook::registry
