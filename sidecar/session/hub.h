// The state that all sessions of one tap share.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/async/task_group.h"
#include "sidecar/session/live_session.h"
#include "sidecar/session/sessions.h"
#include "sidecar/session/sockets.h"

namespace sidetap::session {

/// The states of the metric, which include those before the protocol starts.
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
/// As in the metric; "waiting" for kNone.
std::string_view name_of(Standing standing);

/// The kind of peer of a session.
enum class Partner : std::uint8_t { kSensor, kClient };

/// Counts sessions, and reports when the captures start or stop to reach the sensors.
class Hub {
 public:
  Hub(boost::asio::any_io_executor executor, SessionsConfig config, CaptureControl& control,
      telemetry::MetricsRegistry* metrics);

  /// Moves one session from one standing to another.
  void moved(Partner partner, Standing from, Standing to);
  /// Claims an endpoint for a sensor of the list. Returns false if another sensor has it: both are
  /// then the same sensor under two names, and this one gets no packets of its own.
  bool take(std::size_t sensor, const Endpoint& endpoint);
  void leave(std::size_t sensor);
  /// Records whether all endpoints of this sensor belong to others. It then counts as served.
  void same_as_another(std::size_t sensor, bool same);
  bool is_self(const Endpoint& endpoint) const;
  void dialled(const std::string& sensor);
  void ended(std::string_view kind);
  void client_refused(std::string_view reason);
  /// The same as Sessions::forwarding().
  bool forwarding() const;
  /// Call it when what Sessions tells of its sensors has changed.
  void note_change();
  /// Like TaskGroup::spawn() and supervise(). The task keeps `owner` alive.
  void spawn(std::string_view name, boost::asio::awaitable<void> work,
             async::TaskGroup::Ended ended = {});
  void supervise(std::string_view name, async::TaskGroup::Work work,
                 async::TaskGroup::Ended failed);

  const boost::asio::any_io_executor executor;
  const SessionsConfig config;
  CaptureControl& control;
  std::function<void(bool)> on_change;
  bool stopping = false;
  bool hurried = false;  ///< See Sessions::dial_soon().
  async::TaskGroup tasks;
  std::weak_ptr<void> owner;  ///< Owns this hub and all that its tasks refer to.
  async::Chance chance;

 private:
  telemetry::MetricsRegistry* metrics_;
  std::size_t capturing_ = 0;              // sensors
  std::map<std::size_t, Endpoint> taken_;  // by sensor
  std::set<std::size_t> same_as_another_;
};

}  // namespace sidetap::session
