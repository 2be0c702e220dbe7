// Which events are sent and when: what is said once, how many at once, and what is remembered.
#include "webhook/events/event_queue.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/webhook_events/sample_event.h"

namespace sidetap::webhook::events {
namespace {

using namespace std::chrono_literals;

class EventQueueTest : public testing::Test {
 protected:
  std::size_t sent_now() {
    std::size_t sent = 0;
    while (queue_.next(now_)) ++sent;
    return sent;
  }
  EventQueue queue_{QueueLimits{.waiting = 20, .remembered = 30}};
  EventQueue::TimePoint now_ = EventQueue::TimePoint(1h);
};

TEST_F(EventQueueTest, ManyReplicasOfOneDeploymentMakeOneEvent) {
  EXPECT_EQ(queue_.offer(sample_event(), now_), Outcome::kQueued);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(queue_.offer(sample_event(), now_ + i * 30s), Outcome::kDuplicate);
  EXPECT_EQ(sent_now(), 1U);
  EXPECT_EQ(queue_.offer(sample_event(), now_ + 1h), Outcome::kQueued);
}

TEST_F(EventQueueTest, AnotherMessageAboutTheSameObjectWaitsForTenMinutes) {
  EXPECT_EQ(queue_.offer(sample_event("a", "one"), now_), Outcome::kQueued);
  EXPECT_EQ(queue_.offer(sample_event("a", "two"), now_ + 9min), Outcome::kTooSoon);
  EXPECT_EQ(queue_.offer(sample_event("b", "two"), now_ + 9min), Outcome::kQueued);
  EXPECT_EQ(queue_.offer(sample_event("a", "two"), now_ + 10min), Outcome::kQueued);
  Event other = sample_event("a", "three");
  other.reason = "TapAdjusted";
  EXPECT_EQ(queue_.offer(other, now_ + 10min), Outcome::kQueued);
}

TEST_F(EventQueueTest, AnotherOccurrenceIsNoDuplicate) {
  Event event = sample_event();
  EXPECT_EQ(queue_.offer(event, now_), Outcome::kQueued);
  event.occurrence = "2";
  EXPECT_EQ(queue_.offer(event, now_ + 11min), Outcome::kQueued);
}

TEST_F(EventQueueTest, TenAtOnceAndThenOneASecond) {
  for (int i = 0; i < 15; ++i) queue_.offer(sample_event(std::to_string(i)), now_);
  EXPECT_EQ(sent_now(), 10U);
  EXPECT_EQ(queue_.wait(now_), 1s);
  now_ += 999ms;
  EXPECT_EQ(sent_now(), 0U);
  EXPECT_EQ(queue_.wait(now_), 1ms);
  now_ += 1ms;
  EXPECT_EQ(queue_.wait(now_), 0ms);
  EXPECT_EQ(sent_now(), 1U);
  now_ += 2s;
  EXPECT_EQ(sent_now(), 2U);
  now_ += 1h;
  EXPECT_EQ(sent_now(), 2U);
  EXPECT_EQ(queue_.wait(now_), 1h);
  now_ += 1min;
  for (int i = 20; i < 35; ++i) queue_.offer(sample_event(std::to_string(i)), now_);
  EXPECT_EQ(sent_now(), 10U);
}

TEST_F(EventQueueTest, EventsLeaveInTheirOrder) {
  queue_.offer(sample_event("a"), now_);
  queue_.offer(sample_event("b"), now_);
  EXPECT_EQ(queue_.next(now_)->subject.name, "a");
  EXPECT_EQ(queue_.next(now_)->subject.name, "b");
  EXPECT_FALSE(queue_.next(now_));
}

TEST_F(EventQueueTest, AFullQueueDropsAndDoesNotRemember) {
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(queue_.offer(sample_event(std::to_string(i)), now_), Outcome::kQueued);
  EXPECT_EQ(queue_.offer(sample_event("x"), now_), Outcome::kFull);
  EXPECT_EQ(queue_.waiting(), 20U);
  EXPECT_EQ(sent_now(), 10U);
  EXPECT_EQ(queue_.offer(sample_event("x"), now_), Outcome::kQueued);
}

TEST_F(EventQueueTest, TheOldestSubjectIsForgottenFirst) {
  for (int i = 0; i < 31; ++i) {
    EXPECT_EQ(queue_.offer(sample_event(std::to_string(i)), now_), Outcome::kQueued);
    now_ += 1s;
    sent_now();
  }
  EXPECT_EQ(queue_.offer(sample_event("1"), now_), Outcome::kDuplicate);
  EXPECT_EQ(queue_.offer(sample_event("0"), now_), Outcome::kQueued);
}

TEST_F(EventQueueTest, AnInvalidEventIsRefused) {
  EXPECT_EQ(queue_.offer(sample_event(""), now_), Outcome::kInvalid);
  EXPECT_EQ(queue_.waiting(), 0U);
}

}  // namespace
}  // namespace sidetap::webhook::events
