#include "webhook/registry/answer_cache.h"

#include <chrono>

#include <gtest/gtest.h>

namespace sidetap::webhook::registry {
namespace {

using std::chrono::seconds;

const AnswerCache<int>::TimePoint kStart{};

TEST(AnswerCache, AnAnswerHoldsUntilItsTime) {
  AnswerCache<int> cache(10);
  cache.keep("a", 1, true, kStart + seconds(2), kStart);
  ASSERT_NE(cache.find("a", kStart + seconds(1)), nullptr);
  EXPECT_EQ(*cache.find("a", kStart + seconds(1)), 1);
  EXPECT_EQ(cache.find("a", kStart + seconds(2)), nullptr);
  EXPECT_EQ(cache.find("b", kStart), nullptr);
}

TEST(AnswerCache, BadAnswersDoNotEvictGoodOnes) {
  AnswerCache<int> cache(3);
  cache.keep("good", 1, true, kStart + seconds(9), kStart);
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    cache.keep(key, 0, false, kStart + seconds(9), kStart);
  }
  EXPECT_NE(cache.find("good", kStart), nullptr);
  EXPECT_LE(cache.size(), 3U);
}

TEST(AnswerCache, WhatHasExpiredGoesFirst) {
  AnswerCache<int> cache(2);
  cache.keep("old", 1, true, kStart + seconds(1), kStart);
  cache.keep("bad", 0, false, kStart + seconds(9), kStart);
  cache.keep("new", 1, true, kStart + seconds(9), kStart + seconds(1));
  EXPECT_NE(cache.find("bad", kStart + seconds(1)), nullptr);
  EXPECT_EQ(cache.size(), 2U);
}

TEST(AnswerCache, NeverHoldsMoreThanAllowed) {
  AnswerCache<int> cache(2);
  for (const char* key : {"a", "b", "c"}) cache.keep(key, 1, true, kStart + seconds(9), kStart);
  EXPECT_LE(cache.size(), 2U);
  EXPECT_NE(cache.find("c", kStart), nullptr);
}

}  // namespace
}  // namespace sidetap::webhook::registry
