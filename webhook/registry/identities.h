// Keeps the ledger of identities by the real clock: what the connections of taps prove goes in, and
// files and metrics come out.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "shared/kube/access.h"
#include "shared/net/ip_address.h"
#include "shared/result.h"
#include "shared/telemetry/metrics.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::registry {

struct IdentityConfig {
  /// For the files of identity_files.h, of one process alone. Empty: none.
  std::string folder{};
  std::chrono::milliseconds keep = std::chrono::hours(24);  ///< See identity::LedgerConfig.
  std::size_t most_tenures = 200'000;                       ///< Likewise.
  /// The files also hold tenures that ended within this time, for sensors that ask for an address
  /// when a flow ends.
  std::chrono::milliseconds recent = std::chrono::minutes(10);
  std::chrono::milliseconds pace{1'000};  ///< Files are written at most once per this time.
};

/// Use it on the executor's thread, or before the executor runs. Files are written on another
/// thread.
class Identities {
 public:
  using Clock = std::chrono::steady_clock;
  /// When a connection was last heard; nothing if it has ended.
  using Heard = std::function<std::optional<Clock::time_point>(identity::ConnectionId)>;

  /// `epoch` differs from run to run. `metrics` must outlive this object, and this object must
  /// outlive the scrapes.
  Identities(boost::asio::any_io_executor executor, IdentityConfig config, std::uint64_t epoch,
             Heard heard, telemetry::MetricsRegistry& metrics);

  void start();
  /// Ends the timer, so that the executor runs out of work. The files stay as they are.
  void stop();

  /// A connection of this pod now holds these proved addresses, instead of the previous ones. Does
  /// nothing if the API server did not say which pod it is.
  void proved(identity::ConnectionId connection, const kube::TokenIdentity& who,
              const std::vector<net::IpAddress>& addresses);
  void ended(identity::ConnectionId connection, Clock::time_point heard);

  const identity::Ledger& ledger() const { return ledger_; }

 private:
  void wait();
  void tick();
  void write(identity::Time now);
  void written(std::uint64_t revision, const Result<void>& outcome);
  void count();

  const boost::asio::any_io_executor executor_;
  const IdentityConfig config_;
  telemetry::MetricsRegistry& metrics_;
  identity::Ledger ledger_;
  boost::asio::steady_timer timer_;
  bool stopping_ = false;
  // For scrapes, which come from another thread.
  std::atomic<std::size_t> held_{0}, past_{0};
  std::atomic<std::uint64_t> changes_{0}, dropped_{0};
  // The files.
  bool writing_ = false, failing_ = false;
  std::optional<std::uint64_t> in_files_;  ///< The ledger's revision.
  identity::Time stale_{};                 ///< When a tenure in the files is no longer recent.
  std::optional<boost::asio::thread_pool> writer_;
};

}  // namespace sidetap::webhook::registry
