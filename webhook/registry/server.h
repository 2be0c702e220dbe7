// The registry's server: WebSockets of taps, what they say, and who is told what.
//
// Everything runs on one thread of its own, apart from the admission reviews. A tap is told of a
// new version when it is ready to hear; one that is slow gets a snapshot instead of what it missed,
// so nothing piles up.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/http/tls_context.h"
#include "shared/kube/credentials.h"
#include "shared/net/host_port.h"
#include "shared/registry/messages.h"
#include "shared/result.h"
#include "shared/telemetry/metrics.h"
#include "webhook/registry/service_watch.h"

namespace sidetap::webhook::registry {

inline constexpr std::size_t kMostConnections = 20'000;

struct ServerConfig {
  net::HostPort listen;
  /// To the API server, which is asked whose a tap's token is. None: anybody may register any
  /// address; for demonstrations on one machine.
  std::optional<kube::Credentials> credentials;
  /// To the API server, whose Services are watched, so that taps drop those views of them that
  /// other taps forward. None: taps are told nothing of Services.
  std::optional<ServiceWatchConfig> services;
  std::string audience = "sidetap";
  std::size_t most_connections = kMostConnections;
  /// Of one address, connections that have not said hello yet.
  std::size_t most_strangers = 64;
  std::chrono::milliseconds handshake{10'000};  ///< Until a tap has said hello.
  /// A tap of which no byte has come for so long is gone.
  std::chrono::milliseconds silence = sidetap::registry::kSilence;
  std::chrono::milliseconds pace{1'000};  ///< At most one change in so long.
  std::chrono::milliseconds gather{20};   ///< From a change to its publication, if pace allows.
  /// Until an address that could not be proved is asked for again; each time twice as long.
  std::chrono::milliseconds proof_wait{1'000};
};

class Server {
 public:
  /// `tls` holds a context before start(). Both references outlive the server.
  Server(ServerConfig config, const http::TlsStore& tls, telemetry::MetricsRegistry& metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens and starts the thread; the bound port.
  Result<std::uint16_t> start();
  /// Taps trust these authorities (PEM) from now on; connected ones are told. Taps are not told of
  /// a bundle that does not verify the certificate in `tls`: call it again when that has changed,
  /// with the same bundle too. Any thread.
  void set_ca(std::string bundle);
  /// Ends every connection and the thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::webhook::registry
