// The registry's client in a tap: tells every replica whether this tap forwards, and learns which
// peers do.
//
// Keeps one WebSocket over TLS to every address that the registry's name resolves to, and
// reconnects when one ends. Peers that no replica lists count as untapped: this tap then owns their
// packets, which may duplicate packets but never loses one. Tells each replica which ownership
// rules this tap applies, and what it does. Takes the settings of a profile from the replicas, if
// the operator allows that.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/net/host_port.h"
#include "shared/net/ip_address.h"
#include "shared/registry/messages.h"
#include "shared/result.h"
#include "sidecar/packet/own_endpoint.h"
#include "sidecar/registry/settled_peers.h"
#include "sidecar/session/sockets.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::registry {

struct ClientConfig {
  net::HostPort registry{};
  std::string ca{};           ///< PEM text: the CA of the registry's certificate.
  std::string server_name{};  ///< Name in the certificate. Empty: the registry's host.
  std::string token_file{};   ///< Read at each connection. Empty: no token is sent.
  /// In place of token_file: asked at each connection. Null: token_file counts.
  std::function<Result<std::string>()> token{};
  /// How long the list of the last replica stays valid, counted from its last byte.
  std::chrono::milliseconds grace{15'000};
  std::chrono::milliseconds resolve_interval{10'000};
  /// This tap is told to end only when nothing else in its pod runs.
  bool ends_last = false;
  /// Groups of settings that the registry may change, of tap::kControls. Empty: none; what it says
  /// is ignored.
  std::vector<std::string> control{};
  /// To ask for, with `control`. Empty: the registry chooses by the namespace.
  std::string profile{};
  /// A replica that sends nothing for this long, not even a pong, counts as gone.
  std::chrono::milliseconds silence = kSilence;
  /// How long a change that makes this tap leave packets to its peers must stand before it counts;
  /// see SettledPeers.
  std::chrono::milliseconds settling{250};
  /// How long leave() waits after the last replica has removed this tap, because other taps learn
  /// of it later.
  std::chrono::milliseconds linger{500};
  async::BackoffBounds backoff{std::chrono::milliseconds(500), std::chrono::milliseconds(5'000)};
};

/// What this tap reports about itself.
struct Own {
  /// Every address of the pod on captured interfaces. None of them is a peer.
  std::vector<net::IpAddress> addresses{};
  /// The addresses for which peers may rely on this tap: their packets reach the sensors now.
  std::vector<net::IpAddress> forwarded{};
  friend bool operator==(const Own&, const Own&) = default;
};

struct ClientCallbacks {
  /// Returns the addresses of the replicas. Null: resolves the registry's name with the system.
  std::function<boost::asio::awaitable<Result<std::vector<session::Endpoint>>>()> resolve{};
  /// Called on the executor's thread whenever the peers change.
  std::function<void(std::shared_ptr<const Peers>)> on_peers{};
  /// Called once, when the peers that the first replica named count.
  std::function<void()> on_first_word{};
  /// Called when it changes whether peers leave packets to this tap. False at first; true while a
  /// replica lists the tap, or may list it.
  std::function<void(bool)> on_relied_on{};
  /// Called when other settings are in force, never before a replica has given some. See
  /// SettingsChoice.
  std::function<void(const Settings&)> on_settings{};
  /// Connections of `owner` that must not be captured; as CaptureControl::exclude_own_traffic.
  std::function<std::chrono::milliseconds(const std::string& owner,
                                          std::vector<capture::OwnEndpoint>)>
      exclude{};
};

/// Use it on the executor's single thread.
class Client {
 public:
  /// `metrics` may be null; otherwise it must outlive this object.
  Client(boost::asio::any_io_executor executor, ClientConfig config, ClientCallbacks callbacks,
         telemetry::MetricsRegistry* metrics);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Error: the CA is not a PEM certificate.
  Result<void> start();
  /// Call it before start() and at each change. Tells every replica at once.
  void set_own(Own own);
  /// Tells every connected replica, and each that connects later, until the next report. The caller
  /// sees to the pace.
  void report(const Report& report);
  /// Reports that this tap no longer forwards (and, if it ends last, that its pod has ended). Waits
  /// until no replica lists it and its peers have had time to learn of that, but at most `limit`.
  /// It waits that long if a replica that may list it does not answer. Continue to forward until it
  /// returns.
  boost::asio::awaitable<void> leave(std::chrono::milliseconds limit);
  /// PEM: the CAs by which it verifies replicas now, all together, each once.
  std::string trusted() const;
  /// Ends every connection.
  boost::asio::awaitable<void> stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::registry
