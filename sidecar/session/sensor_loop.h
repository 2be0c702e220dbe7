// Serves one sensor of the list: connects, runs a session, waits, and repeats.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/registry/messages.h"
#include "shared/telemetry/log_throttle.h"
#include "sidecar/session/access.h"
#include "sidecar/session/hub.h"

namespace sidetap::session {

class SensorLoop {
 public:
  /// Calls `changed` when the list has changed.
  SensorLoop(Hub& hub, SensorList& list, std::size_t index, std::function<void()> changed);

  /// Runs until the hub is stopping.
  boost::asio::awaitable<void> run();
  /// Call it when run() has thrown. Marks this sensor as having no session. `kind` is as in
  /// Outcome.
  void let_go(std::string_view kind = {});
  /// Checks what the list and the hub want. Ends a session that is no longer wanted.
  void reconsider();
  /// Ends the wait between two dials. Call it when the hub is hurried.
  void dial_soon();
  registry::SensorReport now() const;

 private:
  struct Outcome {
    std::string_view kind;
    std::string text;
  };
  boost::asio::awaitable<Outcome> attempt();
  /// The current addresses, unless one of them is the pod's own.
  boost::asio::awaitable<Result<std::vector<Endpoint>>> look_up(Outcome& failure);
  boost::asio::awaitable<void> stand_by();
  boost::asio::awaitable<std::optional<async::AsyncFd>> connect(Outcome& failure);
  boost::asio::awaitable<Outcome> talk(async::AsyncFd control, Access access);
  void stand(Standing standing);
  void on_phase(Phase phase);
  void expect_capture();
  void say(SensorState state);
  void report(const Outcome& outcome);

  Hub& hub_;
  SensorList& list_;
  const std::size_t index_;
  const Sensor& sensor_;
  const std::string name_;
  std::function<void()> changed_;
  OwnTraffic own_traffic_;
  async::Backoff backoff_;
  async::Interruption interruption_;
  boost::asio::steady_timer patience_;
  Standing standing_ = Standing::kNone;
  bool at_work_ = false;
  bool rests_ = false;    // between two dials
  std::string reported_;  // the last logged fault
  telemetry::LogThrottle reports_{10, std::chrono::minutes(1)};
};

}  // namespace sidetap::session
