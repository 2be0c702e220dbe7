// Whose a token is, asked of the API server once and remembered for a while.
#pragma once

#include <chrono>
#include <functional>
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

/// Few are asked at once; whoever comes then waits for its turn. One strand.
class Authenticator {
 public:
  Authenticator(const boost::asio::any_io_executor& executor, const kube::Credentials& credentials,
                AuthenticatorConfig config);

  /// Does anybody still wait for the answer? Asked when its turn comes.
  using Wanted = std::function<bool()>;

  /// The pod to which `token` is bound; nothing when nobody waits for it any more. Errors: the API
  /// server does not answer. Tokens that are good for nothing are remembered too, but not for long.
  boost::asio::awaitable<Result<std::optional<kube::TokenIdentity>>> identify(std::string token,
                                                                              Wanted wanted);
  /// The addresses of that pod as the API server knows them; nothing when it does not tell (the
  /// right to get pods is not required), the pod is no more, or nobody waits for them any more.
  /// Errors: it does not answer.
  boost::asio::awaitable<Result<std::optional<std::vector<net::IpAddress>>>> addresses_of(
      kube::TokenIdentity identity, Wanted wanted);
  /// For good: ends all that waits or is being asked, without an answer.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Known {
    kube::TokenIdentity identity;
    Clock::time_point until;
  };

  struct GiveBack {
    Authenticator* lender = nullptr;
    void operator()(kube::Client* client) const;
  };
  /// Comes back by itself, whatever the question ends with.
  using Borrowed = std::unique_ptr<kube::Client, GiveBack>;

  /// Null after stop().
  boost::asio::awaitable<Borrowed> borrow();
  const kube::TokenIdentity* recall(const std::string& key) const;
  void forget_old();

  AuthenticatorConfig config_;
  std::map<std::string, Known> known_;  ///< By the token's SHA-256: tokens are not kept.
  std::vector<kube::Client> clients_;
  std::vector<kube::Client*> idle_;
  bool stopping_ = false;
  boost::asio::steady_timer freed_;  ///< Cancelled, one at a time, when a client comes back.
};

}  // namespace sidetap::webhook::registry
