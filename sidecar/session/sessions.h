// The tap's RPCAP sessions: with every configured sensor, which is dialled again when a session
// ends, and with clients that connect to the tap.
//
// Everything runs on one executor with one thread. protocol.h decides what a message means,
// backoff.h when to connect, and sensor_list.h to whom; none of them does I/O.
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
#include "shared/registry/messages.h"
#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "sidecar/session/capture_control.h"
#include "sidecar/session/sensor_list.h"
#include "sidecar/session/tls_settings.h"

namespace sidetap::telemetry {
class MetricsRegistry;
}

namespace sidetap::session {

/// The default port for clients of taps.
inline constexpr std::uint16_t kPassivePort = 2002;

enum class UdpFormat : std::uint8_t { kUdpstr, kPlain };

struct Sensor {
  net::HostPort address{};
  bool default_port = false;  ///< No port was given.
  rpcap::Ipv6Family ipv6_family = rpcap::Ipv6Family::kLinux;
  /// The host for which its certificate must be valid, if TlsSettings names none. Empty: that of
  /// the address.
  std::string certificate_host{};
  /// Where the default port is spelled out, it is the same sensor.
  friend bool operator==(const Sensor& a, const Sensor& b) {
    return a.address == b.address && a.ipv6_family == b.ipv6_family &&
           a.certificate_host == b.certificate_host;
  }
};

/// Settings for clients that connect to the tap (libpcap's rpcap://).
struct PassiveSettings {
  net::HostPort listen{{}, kPassivePort};  ///< Port 0: any free one.
  std::vector<net::Cidr> clients{};        ///< Who may connect. Empty: everybody.
  rpcap::Ipv6Family ipv6_family = rpcap::Ipv6Family::kWindows;
  UdpFormat udp_format = UdpFormat::kPlain;  ///< libpcap's client supports no other.
  std::size_t most_sessions = 4;
};

struct SessionsConfig {
  std::vector<Sensor> sensors{};
  SensorMode mode = SensorMode::kReplicate;
  std::optional<PassiveSettings> passive;

  /// The credentials that a sensor must send. An empty user means only null authentication.
  std::string user{};
  std::optional<std::string> password{};
  /// A mounted Secret that completes these and `tls`, see access.h. Empty: none.
  std::string secret_folder{};

  UdpFormat udp_format = UdpFormat::kUdpstr;  ///< To sensors.
  std::uint32_t data_mtu = 0;                 ///< Bytes of an IP packet; 0: the route's.
  std::uint32_t snaplen = 262'144;            ///< Bytes; a sensor may ask for fewer.
  std::uint32_t buffer_size = 2'097'152;      ///< Bytes; told to sensors, which size theirs by it.

  /// "NAMESPACE/POD", the only way to tell a sensor which pod this is. Empty: the description from
  /// CaptureControl::interface().
  std::string description{};
  /// Offers the interface as preselected: the sensor takes it without checking addresses.
  bool preselected = false;

  /// Whether this is an address of the pod, except for loopback addresses. Null: no address is
  /// known. Called on the executor's thread.
  std::function<bool(const net::IpAddress&)> is_own_address{};

  TlsSettings tls;
  /// For TlsRole::kRegistry, the CAs that the registry has told, PEM: asked for each session. Null
  /// or an empty text: none is known. Called on the executor's thread.
  std::function<std::string()> registry_ca{};
  async::BackoffBounds backoff;
  std::chrono::milliseconds connect_timeout{5'000};  ///< Per address and per handshake.
  /// As of keep_alive(), of the control connections to sensors.
  std::chrono::milliseconds sensor_silence{12'000};
  /// In failover, how long a connected sensor that starts no capture keeps the next one waiting.
  std::chrono::milliseconds failover_patience{15'000};
  /// A peer that pauses longer within a message, or accepts no bytes for longer, is dropped.
  std::chrono::milliseconds message_timeout{10'000};
};

class Sessions {
 public:
  /// The sessions share `control`: one that does not end within stop() may need it afterwards.
  /// `metrics` must outlive them, and may be null.
  Sessions(boost::asio::any_io_executor executor, SessionsConfig config,
           std::shared_ptr<CaptureControl> control, telemetry::MetricsRegistry* metrics);
  /// Call it after stop(), or when the executor no longer runs.
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  /// Listens if configured, and starts to connect. With TLS, the program must ignore SIGPIPE, which
  /// OpenSSL raises. Error: the tap cannot listen on the address, or the TLS files are wrong
  /// and no Secret may correct that.
  Result<void> start();
  /// Dials now whom it would dial later, and from now on again in the shortest intervals. Call it
  /// on the executor's thread.
  void dial_soon();
  /// Ends every capture, which sends pending packets, and closes every session. Waits for that, but
  /// not for long. No new connections start.
  boost::asio::awaitable<void> stop();

  /// Whether peers may leave packets to this tap: only if those packets reach every sensor that
  /// would have received them from the peers. That means all sensors in replicate mode, and one in
  /// every other mode. Sensors that resolve to the same endpoint count once, and in a
  /// sensor's own pod nothing is forwarded. Clients do not count: a client that watches a pod for a
  /// while must not divert packets from the sensors. Call it on the executor's thread.
  bool forwarding() const;
  /// What each sensor's session does now, in the operator's order. Call it on the executor's
  /// thread.
  std::vector<registry::SensorReport> sensors() const;
  /// Called on the executor's thread, with forwarding(), whenever this or sensors() may have
  /// changed.
  void on_change(std::function<void(bool)> callback);
  /// The port for clients; 0 if passive mode is off. Call it after start().
  std::uint16_t passive_port() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::session
