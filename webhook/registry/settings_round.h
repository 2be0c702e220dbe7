// Tells taps the settings of their profiles: a new tap at once, and after a change all of them, in
// turn.
//
// A change makes each tap connect to its sensors again. The taps are therefore told over a second,
// and not all in the same moment. Whom a round has not reached when the next change comes is told
// first then, so that changes that follow each other quickly leave nobody out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "webhook/profiles/profiles.h"
#include "webhook/registry/connection.h"
#include "webhook/registry/tap_inventory.h"

namespace sidetap::webhook::registry {

struct SettingsPace {
  std::chrono::milliseconds step{20};
  std::size_t steps = 50;  ///< In which all taps are told.
  std::size_t least = 50;  ///< Taps of one step, if there are few.
};

/// Use it on the executor's thread, or before the executor runs.
class SettingsRound {
 public:
  using Profiles = std::shared_ptr<const profiles::Profiles>;

  /// `proved`: taps prove which namespace they are in. If not, each gets the profile that it asks
  /// for. The references must outlive this object.
  SettingsRound(boost::asio::any_io_executor executor, const Connections& connections,
                TapInventory& inventory, bool proved, SettingsPace pace = {});

  /// From now on, taps are told these. Never null.
  void set(Profiles known);
  /// Does nothing before set(), and for a tap that takes no orders. Settings that the tap was told
  /// last on its connection are not sent again.
  void tell(const Connection& tap);
  /// Of what taps are told; 0 before set().
  std::uint64_t generation() const { return profiles_ ? profiles_->generation() : 0; }
  /// Ends the timer, so that the executor runs out of work.
  void stop();

 private:
  const std::shared_ptr<const profiles::Told>& settings_of(const Connection& tap) const;
  void step();

  const Connections& connections_;
  TapInventory& inventory_;
  const bool proved_;
  const SettingsPace pace_;
  Profiles profiles_;
  std::vector<ConnectionId> order_;  ///< Of the round. Those from next_ on are still to be told.
  std::size_t next_ = 0;
  std::size_t share_ = 0;  ///< Of one step.
  bool stopping_ = false;
  boost::asio::steady_timer timer_;
};

}  // namespace sidetap::webhook::registry
