// The tap's side of the registry: tells every replica whether this tap forwards, and learns which
// peers do.
//
// One WebSocket over TLS to every address that the registry's name resolves to, dialled again
// whenever it ends. Peers that nobody vouches for count as untapped: then their packets are owned
// here, twice rather than never.
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
  std::string ca{};           ///< PEM text: who signs the registry's certificate.
  std::string server_name{};  ///< To find in the certificate; empty: the registry's host.
  std::string token_file{};   ///< Read at each dial; empty: no token is sent.
  /// How long the word of the last replica holds, from the last byte that was heard of it.
  std::chrono::milliseconds grace{15'000};
  std::chrono::milliseconds resolve_interval{10'000};
  /// This tap is told to end only when nothing else of its pod runs any more.
  bool ends_last = false;
  /// A replica that says nothing for so long, not even to a ping, is gone.
  std::chrono::milliseconds silence = kSilence;
  /// A peer counts as tapped when it has been listed for so long: as Settling.
  std::chrono::milliseconds settling{250};
  /// leave() goes on for so long after the last replica has struck this tap off: others hear of it
  /// later.
  std::chrono::milliseconds linger{500};
  async::BackoffBounds backoff{std::chrono::milliseconds(500), std::chrono::milliseconds(5'000)};
};

/// What this tap is.
struct Own {
  /// Every address of the pod at the interfaces that are captured: none is a peer.
  std::vector<net::IpAddress> addresses{};
  /// Those on which peers may count: their packets reach the sensors now.
  std::vector<net::IpAddress> forwarded{};
  friend bool operator==(const Own&, const Own&) = default;
};

struct ClientCallbacks {
  /// The addresses of the replicas. Null: asks the system for those of the registry's name.
  std::function<boost::asio::awaitable<Result<std::vector<session::Endpoint>>>()> resolve{};
  /// Called on the executor's thread whenever they change.
  std::function<void(std::shared_ptr<const Peers>)> on_peers{};
  /// Called once: the peers that the first replica has named count now.
  std::function<void()> on_first_word{};
  /// Called when it changes: do peers leave packets to this tap? False at first. True whenever a
  /// replica lists it, or may.
  std::function<void(bool)> on_relied_on{};
  /// Connections of `owner` that must not be captured; as CaptureControl::exclude_own_traffic.
  std::function<std::chrono::milliseconds(const std::string& owner,
                                          std::vector<capture::OwnEndpoint>)>
      exclude{};
};

/// Everything on the executor's one thread.
class Client {
 public:
  /// `metrics` may be null, else it outlives this object.
  Client(boost::asio::any_io_executor executor, ClientConfig config, ClientCallbacks callbacks,
         telemetry::MetricsRegistry* metrics);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Error: the CA is no PEM certificate.
  Result<void> start();
  /// To be called whenever that changes, and before start(). Every replica is told at once.
  void set_own(Own own);
  /// Says that this tap forwards no more (and, where it ends last, that its pod has ended), and
  /// waits until no replica lists it and its peers have had the time to hear of that; no longer
  /// than `limit`, which it takes when a replica that may list it cannot be asked. Go on forwarding
  /// until it returns.
  boost::asio::awaitable<void> leave(std::chrono::milliseconds limit);
  /// Ends every connection.
  boost::asio::awaitable<void> stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::registry
