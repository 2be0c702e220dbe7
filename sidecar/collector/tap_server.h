// Waits for taps, and acts as their sensor.
//
// Anybody who reaches the port may connect, so everything is bounded: who may (addresses,
// certificates), how many sessions there are in all and from one address, what is read of a
// message, and how long each step may take.
//
// A tap proves itself by a certificate, if a CA for taps is configured, and by the address that the
// registry lists for its pod, if there is a TapProof. Its bearer token cannot come with the RPCAP
// login, in which the sensor proves itself to the tap.
//
// A collector that ends goes in three steps: it takes no new taps (close()) and is not ready, so
// that its address leaves the Service's name; taps that follow the name move meanwhile, each to
// another collector before it leaves this one (drain()); and then the others are ended in good
// order (stop()).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/accept_loop.h"
#include "shared/async/interruption.h"
#include "shared/async/task_group.h"
#include "shared/http/tls_context.h"
#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "shared/result.h"
#include "shared/telemetry/log_throttle.h"
#include "sidecar/collector/data_ways.h"
#include "sidecar/collector/tap_session.h"
#include "sidecar/forwarding/tap_identities.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::collector {

struct TapServerConfig {
  net::HostPort listen{{}, 2003};  ///< Port 0: any free one.
  /// For streams, on the address of `listen`; or the first of the receiver's ports for datagrams,
  /// of which each has the next number.
  std::uint16_t data_port = 2004;
  TapProtocolConfig protocol{};
  std::vector<net::Cidr> allow{};  ///< Who may connect. Empty: everybody.
  std::size_t most_sessions = 12'000;
  std::size_t most_of_one_address = 16;
  std::chrono::milliseconds message_timeout{10'000};
};

/// One session, as it stands.
struct TapStanding {
  std::uint32_t origin = 0;
  TapPhase phase = TapPhase::kOpening;
  std::shared_ptr<const forwarding::TapIdentity> identity{};  ///< Null before the tap has told it.
  rpcap::Stats told{};  ///< What the tap said last about its capture.
};

/// Use it on the control thread.
class TapServer {
 public:
  /// `ways` and `metrics` outlive the server; `metrics` may be null. `tls` holds the certificate
  /// for taps, which begin the handshake; null: plain. `proof`, which outlives the server too, says
  /// who they are; null: their word counts.
  TapServer(boost::asio::any_io_executor executor, TapServerConfig config, DataWays& ways,
            std::shared_ptr<forwarding::TapIdentities> identities, http::TlsStore* tls,
            telemetry::MetricsRegistry* metrics, TapProof* proof = nullptr);
  ~TapServer();
  TapServer(const TapServer&) = delete;
  TapServer& operator=(const TapServer&) = delete;

  /// Listens. Error: an address cannot be bound.
  Result<void> start();
  /// Takes no new taps from now on: connections are refused. Those that are there stay.
  void close();
  /// Returns when no tap is there any more, or after `limit`. Call it after close().
  boost::asio::awaitable<void> drain(std::chrono::milliseconds limit);
  /// Drains no longer, now or when it comes to that.
  void end_drain();
  /// Closes, and ends every session in good order: each tap sends what it has. Returns within a few
  /// seconds.
  boost::asio::awaitable<void> stop();
  /// For the running captures and those that come. Empty: every packet.
  void set_filter(const rpcap::Filter& filter);
  std::vector<TapStanding> taps() const;
  std::uint16_t port() const { return port_; }
  std::uint16_t data_port() const { return config_.data_port; }

 private:
  struct Entry;
  using Entries = std::map<std::uint32_t, std::shared_ptr<Entry>>;

  void admit(boost::asio::ip::tcp::socket socket);
  void refuse(std::string_view reason, const net::IpAddress& from);
  void begin(net::UniqueFd fd, const net::IpAddress& from, const std::string& name);
  boost::asio::awaitable<void> serve(std::shared_ptr<Entry> entry);
  void admitted(const Entry& entry, const rpcap::Interface& interface, const ProvedPod* proved);
  void leave(const std::shared_ptr<Entry>& entry);
  void moved(Entry& entry, std::optional<TapPhase> to);

  boost::asio::any_io_executor executor_;
  TapServerConfig config_;
  DataWays& ways_;
  std::shared_ptr<forwarding::TapIdentities> identities_;
  http::TlsStore* tls_;
  telemetry::MetricsRegistry* metrics_;
  TapProof* proof_;
  async::TaskGroup tasks_;
  std::optional<async::AcceptLoop> door_;
  Entries entries_;
  std::unordered_map<net::IpAddress, std::size_t> by_address_;
  telemetry::LogThrottle refusals_{10, std::chrono::minutes(1)};
  telemetry::LogThrottle unproven_{10, std::chrono::minutes(1)};
  telemetry::LogThrottle ends_{50, std::chrono::minutes(1)};
  std::uint32_t next_origin_ = 1;
  std::uint16_t port_ = 0;
  async::Interruption emptied_;  // no session is left
  bool closed_ = false;
  bool drained_ = false;
  bool stopping_ = false;
};

}  // namespace sidetap::collector
