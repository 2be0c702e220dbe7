// Few connections to the API server, and the requests that wait for one. The sources of requests
// take turns, so a busy one delays only itself.
#pragma once

#include <cstddef>
#include <functional>
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

struct ApiQueueConfig {
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

/// Use it on one strand.
class ApiQueue {
 public:
  struct GiveBack {
    ApiQueue* lender = nullptr;
    void operator()(kube::Client* client) const { lender->give_back(client); }
  };
  /// Returns the client automatically, however the request ends.
  using Borrowed = std::unique_ptr<kube::Client, GiveBack>;
  /// Without a client, `crowded_out` says why.
  struct Turn {
    Borrowed client;
    bool crowded_out = false;
  };

  /// `metrics` must outlive this object.
  ApiQueue(boost::asio::any_io_executor executor, const kube::Credentials& credentials,
           ApiQueueConfig config, telemetry::MetricsRegistry& metrics);

  /// Waits for a client. There is none after stop(), nor for a request that is crowded out.
  boost::asio::awaitable<Turn> wait_for_turn(std::optional<net::IpAddress> source);
  /// Stops permanently. Ends all waiting and running requests without an answer.
  void stop();

 private:
  struct Waiter;

  void give_back(kube::Client* client);
  void count_waiting();

  const boost::asio::any_io_executor executor_;
  telemetry::MetricsRegistry& metrics_;
  std::vector<kube::Client> clients_;
  std::vector<kube::Client*> idle_;
  FairQueue<std::optional<net::IpAddress>, Waiter*> queue_;
  bool stopping_ = false;
};

}  // namespace sidetap::webhook::registry
