#include "webhook/events/event_queue.h"

#include <algorithm>
#include <utility>

namespace sidetap::webhook::events {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kQueued:
      return "queued";
    case Outcome::kDuplicate:
      return "duplicate";
    case Outcome::kTooSoon:
      return "too-soon";
    case Outcome::kFull:
      return "full";
    case Outcome::kInvalid:
      break;
  }
  return "invalid";
}

Outcome EventQueue::offer(Event event, TimePoint now) {
  if (!is_valid(event)) return Outcome::kInvalid;
  std::string about = event.subject.uid + '\n' + event.reason;
  std::string text = event.message + '\n' + event.occurrence;
  const auto found = by_subject_.find(about);
  if (found != by_subject_.end()) {
    const Said& last = *found->second;
    if (last.text == text && now - last.at < limits_.same) return Outcome::kDuplicate;
    if (now - last.at < limits_.quiet) return Outcome::kTooSoon;
  }
  if (waiting_.size() >= limits_.waiting) return Outcome::kFull;
  if (found != by_subject_.end()) {
    said_.erase(found->second);
    by_subject_.erase(found);
  } else if (said_.size() >= limits_.remembered) {
    by_subject_.erase(said_.front().about);
    said_.pop_front();
  }
  by_subject_.emplace(about, said_.insert(said_.end(), Said{about, std::move(text), now}));
  waiting_.push_back(std::move(event));
  return Outcome::kQueued;
}

EventQueue::TimePoint EventQueue::earliest() const {
  return spent_ - limits_.pace * static_cast<int>(limits_.burst - 1);
}

std::optional<Event> EventQueue::next(TimePoint now) {
  if (waiting_.empty() || now < earliest()) return std::nullopt;
  spent_ = std::max(spent_, now) + limits_.pace;
  Event event = std::move(waiting_.front());
  waiting_.pop_front();
  return event;
}

std::chrono::milliseconds EventQueue::wait(TimePoint now) const {
  if (waiting_.empty()) return std::chrono::hours(1);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(earliest() - now);
  return std::max(left, std::chrono::milliseconds(0));
}

}  // namespace sidetap::webhook::events
