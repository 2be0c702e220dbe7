#include "webhook/events/tap_monitor.h"

#include "webhook/pods/warning.h"

namespace sidetap::webhook::events {
namespace {

constexpr std::size_t kMostReason = 300;
/// Replicas notice at different times that a tap has no sensor. They tell it once if they agree on
/// this much of the time.
constexpr std::chrono::minutes kSameOccurrence{10};

/// `outage`: since when the tap has no sensor. Without a time.
Event event_of_tap(const TapCondition& tap, bool has_sensor, Time outage) {
  Event event;
  event.subject = {.api_version = "v1",
                   .kind = "Pod",
                   .name_space = tap.pod->name_space,
                   .name = tap.pod->name,
                   .uid = tap.pod->uid};
  event.warning = !has_sensor;
  event.reason = has_sensor ? "TapHasSensor" : "TapWithoutSensor";
  event.message = has_sensor
                      ? "The tap has a sensor again: it forwards this pod's packets."
                      : "The tap has no sensor: it does not forward this pod's packets. The pod "
                        "itself is not affected.";
  if (!has_sensor && !tap.reason.empty())
    event.message += " " + pods::shortened(tap.reason, kMostReason);
  event.occurrence = std::to_string(outage.time_since_epoch() / kSameOccurrence);
  return event;
}

bool is_taken(Outcome outcome) {
  return outcome == Outcome::kQueued || outcome == Outcome::kDuplicate ||
         outcome == Outcome::kInvalid;
}

}  // namespace

void TapMonitor::look(const std::vector<TapCondition>& taps, Time now, const Offer& offer) {
  ++round_;
  bool room = true;
  for (const TapCondition& tap : taps) {
    if (tap.pod->uid.empty()) continue;
    const auto found = watched_.find(tap.pod->uid);
    const bool known = found != watched_.end();
    // Nobody needs to know that there was none for a moment.
    if (!tap.without_sensor && !(known && found->second.told)) continue;
    Watched& watched = known ? found->second : watched_[tap.pod->uid];
    if (!known) watched.since = now;
    watched.round = round_;
    if (room) room = tell(tap, watched, now, offer);
  }
  std::erase_if(watched_, [this](const auto& one) { return one.second.round != round_; });
}

bool TapMonitor::tell(const TapCondition& tap, Watched& watched, Time now, const Offer& offer) {
  const bool due =
      tap.without_sensor ? !watched.told && now - watched.since >= config_.patience : watched.told;
  if (!due || now < watched.not_before) return true;
  const Outcome outcome = offer(event_of_tap(tap, !tap.without_sensor, watched.since));
  if (!is_taken(outcome)) {
    watched.not_before = now + config_.again;
    return outcome != Outcome::kFull;
  }
  watched.told = tap.without_sensor;
  if (!tap.without_sensor) watched.round = 0;  // forgets it
  return true;
}

}  // namespace sidetap::webhook::events
