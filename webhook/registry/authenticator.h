// Identifies the pod of a token through the API server, and caches the answers.
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
  /// For refused tokens. Shorter, because the API server may not have been up to date.
  std::chrono::seconds remember_refused{10};
  std::size_t most_remembered = 50'000;
  std::size_t connections = 4;  ///< Concurrent connections to the API server.
  /// Requests that wait for a connection. A tap waits 5 s for an answer, so more of them would wait
  /// in vain.
  std::size_t most_waiting = 8'192;
};

/// On whose behalf a request is made.
struct Asker {
  /// The source address of the connection. Sources take turns.
  std::optional<net::IpAddress> source;
  /// Whether anybody still waits for the answer. Called when the request's turn comes.
  std::function<bool()> wanted;
};

/// The outcome of a request to the API server.
template <typename T>
struct ApiAnswer {
  enum class Kind {
    kAnswered,
    kUnwanted,    ///< Nobody waits for it anymore, or stop() was called.
    kCrowdedOut,  ///< Too many requests wait, most of them from this source.
    kFailed,      ///< The API server does not answer.
  };
  Kind kind = Kind::kUnwanted;
  T value{};             ///< For kAnswered.
  std::string reason{};  ///< For kFailed.

  bool is(Kind other) const { return kind == other; }
};

/// Makes few requests at once; the others wait in a FairQueue. Use it on one strand.
class Authenticator {
 public:
  using TokenAnswer = ApiAnswer<kube::TokenIdentity>;
  /// Nothing: the API server does not say (the right to get pods is optional), or the pod no longer
  /// exists.
  using AddressesAnswer = ApiAnswer<std::optional<std::vector<net::IpAddress>>>;

  /// `metrics` must outlive this object.
  Authenticator(boost::asio::any_io_executor executor, const kube::Credentials& credentials,
                AuthenticatorConfig config, telemetry::MetricsRegistry& metrics);

  /// Identifies the pod that `token` is bound to. Refused tokens are cached too, but not for long.
  boost::asio::awaitable<TokenAnswer> identify(Asker asker, std::string token);
  /// The addresses of that pod, as known to the API server.
  boost::asio::awaitable<AddressesAnswer> addresses_of(Asker asker, kube::TokenIdentity identity);
  /// Stops permanently. Ends all waiting and running requests without an answer.
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
  /// Returns the client automatically, however the request ends.
  using Borrowed = std::unique_ptr<kube::Client, GiveBack>;
  /// Without a client, `crowded_out` says why.
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
  std::map<std::string, Known> known_;  ///< By the token's SHA-256; the token itself is not kept.
  std::vector<kube::Client> clients_;
  std::vector<kube::Client*> idle_;
  FairQueue<std::optional<net::IpAddress>, Waiter*> queue_;
  bool stopping_ = false;
};

}  // namespace sidetap::webhook::registry
