// The tap's RPCAP sessions: with every configured sensor, dialled again whenever they end, and with
// clients that dial the tap.
//
// Everything runs on one executor, which one thread runs. Pieces: protocol.h decides what a message
// means, backoff.h when to dial, sensor_list.h whom; none of them does I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/net/cidr.h"
#include "shared/net/host_port.h"
#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "sidecar/session/capture_control.h"
#include "sidecar/session/sensor_list.h"
#include "sidecar/session/tls_settings.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::session {

/// The port on which taps wait for clients.
inline constexpr std::uint16_t kPassivePort = 2002;

enum class UdpFormat : std::uint8_t { kUdpstr, kPlain };

struct Sensor {
  net::HostPort address{};
  bool default_port = false;  ///< None was given.
  rpcap::Ipv6Family ipv6_family = rpcap::Ipv6Family::kLinux;
};

/// What clients that dial the tap (libpcap's rpcap://) may do.
struct PassiveSettings {
  net::HostPort listen{{}, kPassivePort};  ///< Port 0: any free one.
  std::vector<net::Cidr> clients{};        ///< Who may dial. Empty: everybody.
  rpcap::Ipv6Family ipv6_family = rpcap::Ipv6Family::kWindows;
  UdpFormat udp_format = UdpFormat::kPlain;  ///< libpcap's client knows no other.
  std::size_t most_sessions = 4;
};

struct SessionsConfig {
  std::vector<Sensor> sensors{};
  SensorMode mode = SensorMode::kReplicate;
  std::optional<PassiveSettings> passive;

  /// What a sensor must prove. An empty user: null authentication, and no other.
  std::string user{};
  std::string password{};

  UdpFormat udp_format = UdpFormat::kUdpstr;  ///< To sensors.
  std::uint32_t data_mtu = 0;                 ///< Bytes of an IP packet; 0: the route's.
  std::uint32_t snaplen = 262'144;            ///< Bytes; a sensor may ask for fewer.
  std::uint32_t buffer_size = 2'097'152;      ///< Bytes; told to sensors, which size theirs by it.

  /// "NAMESPACE/POD", the one way to tell a sensor which pod this is. Empty: as
  /// CaptureControl::interface() says.
  std::string description{};
  /// The interface is offered as preselected: the sensor takes it without looking at addresses.
  bool preselected = false;

  /// Is it an address of this pod, the loopback's aside? Null: none is known. Executor's thread.
  std::function<bool(const net::IpAddress&)> is_own_address{};

  TlsSettings tls;
  async::BackoffBounds backoff;
  std::chrono::milliseconds connect_timeout{5'000};  ///< Each address, and each handshake.
  /// In failover, a sensor that stands but asks for nothing keeps the next one waiting for so long.
  std::chrono::milliseconds failover_patience{15'000};
  /// A peer that is silent in mid-message, or takes nothing, is given up.
  std::chrono::milliseconds message_timeout{10'000};
};

class Sessions {
 public:
  /// `control` and `metrics` outlive this object; `metrics` may be null.
  Sessions(boost::asio::any_io_executor executor, SessionsConfig config, CaptureControl& control,
           telemetry::MetricsRegistry* metrics);
  /// After stop(), or when the executor runs no more.
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  /// Listens where asked to, and begins to dial. With TLS the program must ignore SIGPIPE: OpenSSL
  /// raises it. Error: the address cannot be listened on, or the TLS files are wrong.
  Result<void> start();
  /// Ends every capture (which sends what is packed), closes every session and waits for that, but
  /// not for long. Nothing is dialled any more.
  boost::asio::awaitable<void> stop();

  /// May peers leave packets to this tap? Only when what they leave reaches every sensor that would
  /// have got it from them: all of them in replicate, one in failover and balance. Sensors that
  /// turn out to be one at look-up count once, and in a sensor's own pod nothing is forwarded.
  /// Clients do not count: one that looks at a pod for a while must not take its packets from the
  /// sensors. Executor's thread only.
  bool forwarding() const;
  /// Called on the executor's thread whenever forwarding() changes.
  void on_forwarding_changed(std::function<void(bool)> callback);
  /// Where clients may dial; 0 when passive mode is off. After start().
  std::uint16_t passive_port() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::session
