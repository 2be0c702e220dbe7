// Which pods are told that their tap has no sensor, or has one again. Pure: the caller says what
// time it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "webhook/events/event.h"
#include "webhook/events/event_queue.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::events {

/// A tap that is connected to the registry.
struct TapCondition {
  const identity::Pod* pod = nullptr;  ///< Never null.
  bool without_sensor = false;
  std::string reason{};  ///< Why there is no session, as the tap says it; may be empty.
};

struct MonitorConfig {
  std::chrono::milliseconds patience = std::chrono::minutes(1);  ///< Without a sensor until told.
  /// After an event that the queue did not take.
  std::chrono::milliseconds again = std::chrono::minutes(1);
};

/// Use it on one thread. Memory: about 200 bytes for each tap without a sensor.
class TapMonitor {
 public:
  /// Puts an event into the queue, and says what has become of it.
  using Offer = std::function<Outcome(Event)>;

  explicit TapMonitor(MonitorConfig config = {}) : config_(config) {}

  /// `taps` are all that are connected; those whose pod has no UID are not looked at. A tap that is
  /// not among them any more is forgotten: its pod has gone, or the tap's log says what is wrong.
  void look(const std::vector<TapCondition>& taps, Time now, const Offer& offer);

 private:
  struct Watched {
    Time since{};       // without a sensor
    Time not_before{};  // the next event
    bool told = false;
    std::uint64_t round = 0;
  };
  /// Says what is due. Returns whether the queue may have room for more.
  bool tell(const TapCondition& tap, Watched& watched, Time now, const Offer& offer);

  const MonitorConfig config_;
  std::unordered_map<std::string, Watched> watched_;  // by the UID of the pod
  std::uint64_t round_ = 0;
};

}  // namespace sidetap::webhook::events
