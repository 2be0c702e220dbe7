// What all sessions of one tap share.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "sidecar/session/live_session.h"
#include "sidecar/session/sessions.h"
#include "sidecar/session/sockets.h"

namespace sidetap::session {

/// States that the metric tells apart, beyond the protocol's phases.
enum class Standing : std::uint8_t {
  kNone,
  kDialling,
  kAuthenticating,
  kReady,
  kOpened,
  kCapturing
};

Standing standing_of(Phase phase);
std::string_view name_of(EndKind kind);

/// At the other end of a session.
enum class Partner : std::uint8_t { kSensor, kClient };

/// Counts, and tells the program when captures begin and end to carry what sensors are to get.
class Hub {
 public:
  Hub(boost::asio::any_io_executor executor, SessionsConfig config, CaptureControl& control,
      telemetry::MetricsRegistry* metrics);

  /// Moves one session from one standing to another.
  void moved(Partner partner, Standing from, Standing to);
  /// Takes an endpoint for a sensor of the list. False: another one of them has it, so that this
  /// one is the same by another name, and gets nothing of its own.
  bool take(std::size_t sensor, const Endpoint& endpoint);
  void leave(std::size_t sensor);
  /// Is every endpoint of this sensor another's? It counts as served then.
  void same_as_another(std::size_t sensor, bool same);
  bool is_self(const Endpoint& endpoint) const;
  void dialled(const std::string& sensor);
  void ended(std::string_view kind);
  void client_refused(std::string_view reason);
  /// As Sessions::forwarding().
  bool forwarding() const;
  /// In [0, 1).
  double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  const boost::asio::any_io_executor executor;
  const SessionsConfig config;
  CaptureControl& control;
  std::function<void(bool)> on_forwarding_changed;
  bool stopping = false;

 private:
  telemetry::MetricsRegistry* metrics_;
  void note_forwarding(bool before);

  std::size_t capturing_ = 0;              // sensors
  std::map<std::size_t, Endpoint> taken_;  // by sensor
  std::set<std::size_t> same_as_another_;
  std::mt19937_64 random_;
};

}  // namespace sidetap::session
