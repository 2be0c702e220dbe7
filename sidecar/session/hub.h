// What all sessions of one tap share.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "sidecar/session/live_session.h"
#include "sidecar/session/sessions.h"

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
  std::size_t capturing_ = 0;  // sensors
  std::mt19937_64 random_;
};

}  // namespace sidetap::session
