// The registry's server: accepts the WebSockets of taps, collects their states, and publishes
// changes to them. Tells each tap the settings of its profile, and takes its reports.
//
// Everything runs on a thread of its own, apart from the admission reviews. A tap receives a new
// version when its connection is ready. A slow tap gets a snapshot instead of the changes that it
// missed, so no messages pile up.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shared/http/tls_context.h"
#include "shared/kube/credentials.h"
#include "shared/net/host_port.h"
#include "shared/registry/messages.h"
#include "shared/result.h"
#include "shared/telemetry/metrics.h"
#include "webhook/identity/ledger.h"
#include "webhook/profiles/profiles.h"
#include "webhook/registry/identities.h"
#include "webhook/registry/identity_api.h"
#include "webhook/registry/service_watch.h"
#include "webhook/registry/settings_round.h"
#include "webhook/registry/view.h"

namespace sidetap::webhook::registry {

inline constexpr std::size_t kMostConnections = 20'000;

struct ServerConfig {
  net::HostPort listen;
  /// For the API server, which identifies the pod of a tap's token. None: anybody may register any
  /// address, for demonstrations on one machine.
  std::optional<kube::Credentials> credentials;
  /// For watching Services, so that taps drop views of them that other taps forward. None: taps
  /// receive nothing about Services.
  std::optional<ServiceWatchConfig> services;
  std::string audience = "sidetap";
  /// Which pod held an address, and when. Without `credentials`, nothing is known.
  IdentityConfig identity{};
  /// Only with `credentials`: nobody gets identities without a token.
  IdentityApiConfig identity_api{};
  std::size_t most_connections = kMostConnections;
  /// Connections per source address that have neither sent hello nor been admitted as readers yet.
  std::size_t most_strangers = 64;
  std::chrono::milliseconds handshake{10'000};  ///< Until a tap has sent hello.
  /// A tap from which no byte arrives for this long is considered gone.
  std::chrono::milliseconds silence = sidetap::registry::kSilence;
  std::chrono::milliseconds pace{1'000};  ///< At most one change per this time.
  std::chrono::milliseconds gather{20};   ///< From a change to its publication, if `pace` allows.
  /// Wait before the API server is asked again about an unproved address. Doubles each time.
  std::chrono::milliseconds proof_wait{1'000};
  SettingsPace settings_pace{};
};

class Server {
 public:
  /// `tls` must hold a context before start(). Both references must outlive the server.
  Server(ServerConfig config, const http::TlsStore& tls, telemetry::MetricsRegistry& metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens and starts the thread. Returns the bound port.
  Result<std::uint16_t> start();
  /// Sends these authorities (PEM) to all taps, which trust them from then on. A bundle that does
  /// not verify the certificate in `tls` is not sent: call it again when the certificate has
  /// changed, even with the same bundle. Any thread.
  void set_ca(std::string bundle);
  /// From now on, taps that take orders are told the settings of these profiles, all of them within
  /// about a second. Never null. Any thread.
  void set_profiles(std::shared_ptr<const profiles::Profiles> known);
  /// Calls `use` on the registry's thread, which waits for it. Not after stop(). Any thread.
  void with_view(std::function<void(const View&)> use);
  /// Ends every connection and the thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::webhook::registry
