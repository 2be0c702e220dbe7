// Which texts may be bearer tokens, and where a request has one.
#include "shared/bearer.h"

#include <gtest/gtest.h>

namespace sidetap {
namespace {

TEST(BearerToken, StandsBehindItsScheme) {
  EXPECT_EQ(bearer_of("Bearer a.b"), "a.b");
  for (const char* other : {"", "Bearer", "Bearer ", "bearer a", "Basic YTpi"})
    EXPECT_EQ(bearer_of(other), "") << other;
}

TEST(BearerToken, HasOneCharacterAtLeastAndPaddingOnlyAtItsEnd) {
  for (const char* token : {"a", "eyJ-_.~+/09AZ", "YTpi=", "YQ=="})
    EXPECT_TRUE(is_bearer_token(token)) << token;
  for (const char* other : {"", "=", "=a", "a=b", "a b", "a\n", "a\r\nX: y", "a,b", "\xc3\xbc"})
    EXPECT_FALSE(is_bearer_token(other)) << other;
}

}  // namespace
}  // namespace sidetap
