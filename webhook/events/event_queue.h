// Which events are sent, and when. Pure: the caller says what time it is.
//
// A Deployment of a thousand replicas makes a thousand reviews of one kind, and a sensor that fails
// concerns every tap: what is said of one object is said once, and the API server is not flooded.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "webhook/events/event.h"

namespace sidetap::webhook::events {

struct QueueLimits {
  std::size_t waiting = 200;       ///< Further events are dropped.
  std::size_t remembered = 5'000;  ///< Subjects with reasons; the oldest are forgotten first.
  unsigned burst = 10;             ///< At once; then one for each `pace`.
  std::chrono::milliseconds pace{1'000};
  /// For one subject and reason, whatever the message.
  std::chrono::milliseconds quiet = std::chrono::minutes(10);
  /// For the same message as before.
  std::chrono::milliseconds same = std::chrono::hours(1);
};

enum class Outcome : std::uint8_t {
  kQueued,
  kDuplicate,  ///< It has been said.
  kTooSoon,    ///< Something else was said of the subject a short while ago.
  kFull,
  kInvalid,  ///< The API server would refuse it.
};
/// "queued", "duplicate", "too-soon", "full", "invalid"; a static string.
std::string_view name_of(Outcome outcome);

/// Not thread-safe.
class EventQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit EventQueue(QueueLimits limits = {}) : limits_(limits) {}

  Outcome offer(Event event, TimePoint now);
  /// The next event, if it may be sent now: then it counts as sent.
  std::optional<Event> next(TimePoint now);
  /// How long next() has nothing. An hour if nothing is waiting.
  std::chrono::milliseconds wait(TimePoint now) const;
  std::size_t waiting() const { return waiting_.size(); }

 private:
  /// What was said last of a subject for a reason.
  struct Said {
    std::string about;
    std::string text;
    TimePoint at{};
  };
  TimePoint earliest() const;

  const QueueLimits limits_;
  std::deque<Event> waiting_;
  std::list<Said> said_;  // oldest first
  std::unordered_map<std::string, std::list<Said>::iterator> by_subject_;
  TimePoint spent_{};  // events are paid for until then
};

}  // namespace sidetap::webhook::events
