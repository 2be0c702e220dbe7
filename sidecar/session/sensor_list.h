// With which of the configured sensors there should be a session now. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sidetap::session {

enum class SensorMode : std::uint8_t {
  kReplicate,  ///< Every sensor gets every packet.
  kFailover,   ///< The first in the list that works gets every packet.
  kBalance,    ///< Every sensor has a session, and gets a share of the flows.
};

enum class SensorState : std::uint8_t {
  kUntried,
  kFailed,      ///< Not reached, or reached without a capture for too long.
  kForwarding,  ///< A capture runs.
  kSelf,        ///< The pod itself is this sensor.
};

/// What each sensor came to, in the operator's order.
class SensorList {
 public:
  SensorList(SensorMode mode, std::size_t count) : mode_(mode), states_(count) {}

  void set(std::size_t sensor, SensorState state) { states_[sensor] = state; }
  SensorState state(std::size_t sensor) const { return states_[sensor]; }

  /// In failover, a sensor's turn comes when every earlier one has failed, and ends when an earlier
  /// one forwards again; never before, so that there is no gap. In a sensor's pod no sensor is
  /// wanted: what arrives there are packets that taps have forwarded already. It is asked again
  /// whether that is still so.
  bool wanted(std::size_t sensor) const {
    if (states_[sensor] == SensorState::kSelf) return true;
    if (std::find(states_.begin(), states_.end(), SensorState::kSelf) != states_.end())
      return false;
    if (mode_ != SensorMode::kFailover) return true;
    for (std::size_t i = 0; i < sensor; ++i) {
      if (states_[i] != SensorState::kFailed) return false;
    }
    return true;
  }

 private:
  SensorMode mode_;
  std::vector<SensorState> states_;
};

}  // namespace sidetap::session
