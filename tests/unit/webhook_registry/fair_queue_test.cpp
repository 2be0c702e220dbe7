#include "webhook/registry/fair_queue.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;

class FairQueueTest : public testing::Test {
 protected:
  std::optional<std::string> push(char source, const std::string& item) {
    return queue_.push(source, item);
  }
  std::vector<std::string> rest() {
    std::vector<std::string> all;
    while (auto item = queue_.pop()) all.push_back(*item);
    return all;
  }
  FairQueue<char, std::string> queue_{6};
};

TEST_F(FairQueueTest, OfOneSourceTheFirstComesFirst) {
  for (const char* item : {"a1", "a2", "a3"}) EXPECT_FALSE(push('a', item));
  EXPECT_EQ(queue_.size(), 3U);
  EXPECT_THAT(rest(), ElementsAre("a1", "a2", "a3"));
  EXPECT_EQ(queue_.size(), 0U);
}

TEST_F(FairQueueTest, SourcesTakeTurns) {
  for (const char* item : {"a1", "a2", "a3"}) push('a', item);
  push('b', "b1");
  push('c', "c1");
  push('c', "c2");
  EXPECT_THAT(rest(), ElementsAre("a1", "b1", "c1", "a2", "c2", "a3"));
}

TEST_F(FairQueueTest, ASourceThatComesAgainHasNoSecondTurnBeforeTheOthers) {
  push('a', "a1");
  push('b', "b1");
  EXPECT_EQ(queue_.pop(), "a1");
  push('a', "a2");
  EXPECT_THAT(rest(), ElementsAre("b1", "a2"));
}

TEST_F(FairQueueTest, WhoHasMostWaitingGivesUpItsLastWhenItIsFull) {
  for (const char* item : {"a1", "a2", "a3", "a4", "a5"}) push('a', item);
  push('b', "b1");
  EXPECT_EQ(push('c', "c1"), "a5");
  EXPECT_EQ(push('c', "c2"), "a4");
  EXPECT_EQ(queue_.size(), 6U);
  EXPECT_EQ(push('a', "a6"), "a6");
  EXPECT_THAT(rest(), ElementsAre("a1", "b1", "c1", "a2", "c2", "a3"));
}

TEST_F(FairQueueTest, WhereAllHaveOneWaitingTheNewcomerGoes) {
  for (const char source : {'a', 'b', 'c', 'd', 'e', 'f'}) push(source, {source});
  EXPECT_EQ(push('g', "g"), "g");
  EXPECT_EQ(push('a', "a2"), "a2");
  EXPECT_THAT(rest(), ElementsAre("a", "b", "c", "d", "e", "f"));
}

TEST_F(FairQueueTest, WhereNothingMayWaitTheNewcomerGoes) {
  FairQueue<char, std::string> none(0);
  EXPECT_EQ(none.push('a', "a1"), "a1");
  EXPECT_FALSE(none.pop());
}

}  // namespace
}  // namespace sidetap::webhook::registry
