#include "shared/async/after_all.h"

#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap::async {
namespace {

TEST(AfterAll, TheLastAnswerIsTheOneThatCounts) {
  int done = 0;
  const std::vector<std::function<void()>> others(3, after_all(3, [&] { ++done; }));
  others[0]();
  others[1]();
  EXPECT_EQ(done, 0);
  others[2]();
  EXPECT_EQ(done, 1);
}

TEST(AfterAll, WhereNobodyIsAskedItIsDoneAtOnce) {
  int done = 0;
  after_all(0, [&] { ++done; });
  EXPECT_EQ(done, 1);
}

TEST(AfterAll, CountsOfDifferentQuestionsAreApart) {
  int first = 0;
  int second = 0;
  const auto answer_first = after_all(1, [&] { ++first; });
  const auto answer_second = after_all(1, [&] { ++second; });
  answer_second();
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  answer_first();
  EXPECT_EQ(first, 1);
}

}  // namespace
}  // namespace sidetap::async
