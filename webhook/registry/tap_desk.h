// What a tap says on its connection, and what follows from it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/async/task_group.h"
#include "shared/registry/messages.h"
#include "shared/result.h"
#include "shared/telemetry/log_throttle.h"
#include "shared/telemetry/metrics.h"
#include "webhook/registry/authenticator.h"
#include "webhook/registry/bulletin.h"
#include "webhook/registry/connection.h"
#include "webhook/registry/identities.h"
#include "webhook/registry/service_table.h"
#include "webhook/registry/settings_round.h"
#include "webhook/registry/tap_inventory.h"

namespace sidetap::webhook::registry {

/// What taps' words go to. All of it must outlive the desk.
struct TapDeskParts {
  async::TaskGroup& tasks;
  telemetry::MetricsRegistry& metrics;
  Bulletin& bulletin;
  Identities& identities;
  TapInventory& inventory;
  SettingsRound& settings;
  Authenticator* authenticator = nullptr;  ///< Null: nobody proves anything.
  ServiceTable* services = nullptr;        ///< Null: Services are not watched.
  /// Called when the bulletin may have changed.
  std::function<void()> changed{};
  /// Called when a connection has said hello.
  std::function<void(const Connection&)> greeted{};
};

/// Use it on the registry's thread.
class TapDesk {
 public:
  explicit TapDesk(TapDeskParts parts);

  /// Listens to an accepted connection until it ends, or has said what it may not.
  boost::asio::awaitable<void> listen_to(std::shared_ptr<Connection> tap);

 private:
  using Tap = std::shared_ptr<Connection>;

  Result<void> hear(const Tap& tap, std::string_view text);
  void greet(const Tap& tap, sidetap::registry::Hello hello);
  void take(const Tap& tap, sidetap::registry::State state);
  void apply(const Connection& tap);
  boost::asio::awaitable<void> prove(Tap tap);
  void report_unproven(Connection& tap);

  const TapDeskParts parts_;
  async::Chance chance_;
  telemetry::LogThrottle unproven_{5, std::chrono::minutes(1)};
};

}  // namespace sidetap::webhook::registry
