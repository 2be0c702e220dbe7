// Whose a token is, asked of the API server once and remembered for a while.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/kube/client.h"
#include "shared/net/ip_address.h"
#include "shared/telemetry/metrics.h"
#include "webhook/registry/fair_queue.h"

namespace sidetap::webhook::registry {

struct AuthenticatorConfig {
  std::string audience = "sidetap";
  std::chrono::seconds remember{300};
  /// Tokens that were refused: the API server may have been behind.
  std::chrono::seconds remember_refused{10};
  std::size_t most_remembered = 50'000;
  std::size_t connections = 4;  ///< To the API server, at once.
  /// Questions that wait for one of the connections. A tap waits 5 s for an answer, so more would
  /// wait in vain.
  std::size_t most_waiting = 8'192;
};

/// On whose behalf a question is asked.
struct Asker {
  /// Where the connection comes from: sources take turns.
  std::optional<net::IpAddress> source;
  /// Does anybody still wait for the answer? Asked when its turn comes.
  std::function<bool()> wanted;
};

/// What came of a question to the API server.
template <typename T>
struct ApiAnswer {
  enum class Kind {
    kAnswered,
    kUnwanted,    ///< Nobody waits for it any more, or stop() was called.
    kCrowdedOut,  ///< Too many wait, and most of all from this source.
    kFailed,      ///< The API server does not answer.
  };
  Kind kind = Kind::kUnwanted;
  T value{};             ///< Of kAnswered.
  std::string reason{};  ///< Of kFailed.

  bool is(Kind other) const { return kind == other; }
};

/// Few questions are asked at once; the others wait in a FairQueue. One strand.
class Authenticator {
 public:
  using TokenAnswer = ApiAnswer<kube::TokenIdentity>;
  /// Nothing: the API server does not tell (the right to get pods is not required), or the pod is
  /// no more.
  using AddressesAnswer = ApiAnswer<std::optional<std::vector<net::IpAddress>>>;

  /// `metrics` outlives this object.
  Authenticator(boost::asio::any_io_executor executor, const kube::Credentials& credentials,
                AuthenticatorConfig config, telemetry::MetricsRegistry& metrics);

  /// The pod to which `token` is bound. Tokens that are good for nothing are remembered too, but
  /// not for long.
  boost::asio::awaitable<TokenAnswer> identify(Asker asker, std::string token);
  /// The addresses of that pod as the API server knows them.
  boost::asio::awaitable<AddressesAnswer> addresses_of(Asker asker, kube::TokenIdentity identity);
  /// For good: ends all that waits or is being asked, without an answer.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Known {
    kube::TokenIdentity identity;
    bool good;
    Clock::time_point until;
  };
  struct Waiter;

  struct GiveBack {
    Authenticator* lender = nullptr;
    void operator()(kube::Client* client) const { lender->give_back(client); }
  };
  /// Comes back by itself, whatever the question ends with.
  using Borrowed = std::unique_ptr<kube::Client, GiveBack>;
  /// Without a client: the kind says why.
  struct Turn {
    Borrowed client;
    bool crowded_out = false;
  };

  boost::asio::awaitable<Turn> wait_for_turn(const Asker& asker);
  void give_back(kube::Client* client);
  void count_waiting();
  const kube::TokenIdentity* recall(const std::string& key) const;
  void remember(const std::string& key, const kube::TokenIdentity& identity);
  void forget_some();

  const boost::asio::any_io_executor executor_;
  const AuthenticatorConfig config_;
  telemetry::MetricsRegistry& metrics_;
  std::map<std::string, Known> known_;  ///< By the token's SHA-256: tokens are not kept.
  std::vector<kube::Client> clients_;
  std::vector<kube::Client*> idle_;
  FairQueue<std::optional<net::IpAddress>, Waiter*> queue_;
  bool stopping_ = false;
};

}  // namespace sidetap::webhook::registry
