// Decides which of the configured sensors should have a session now. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sidetap::session {

enum class SensorMode : std::uint8_t {
  kReplicate,  ///< Every sensor gets every packet.
  kFailover,   ///< The first working sensor in the list gets every packet.
  kBalance,    ///< Every sensor has a session, and gets a share of the flows.
  /// Of all addresses of the sensors' names, the first that answers in an order of the tap's own,
  /// see collector_choice.h. Sessions are then given that one alone.
  kHash,
};

enum class SensorState : std::uint8_t {
  kUntried,
  kFailed,      ///< Not reachable, or without a capture for too long.
  kForwarding,  ///< A capture runs.
  kSelf,        ///< This pod is the sensor.
};

/// The states of the sensors, in the operator's order.
class SensorList {
 public:
  SensorList(SensorMode mode, std::size_t count) : mode_(mode), states_(count) {}

  void set(std::size_t sensor, SensorState state) { states_[sensor] = state; }
  SensorState state(std::size_t sensor) const { return states_[sensor]; }

  /// In failover, a sensor's turn starts when every earlier one has failed. It ends only when an
  /// earlier one forwards again, so that there is no gap. In a sensor's pod, no other sensor is
  /// wanted, because taps have already forwarded the packets that arrive there. The sensor itself
  /// stays wanted, to check whether that is still so.
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
