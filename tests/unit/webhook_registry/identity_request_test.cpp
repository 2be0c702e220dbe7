// What a target asks of the ledger: routes, and parameters with what is wrong about them.
#include "webhook/registry/identity_request.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/addresses.h"
#include "webhook/identity/identity_text.h"

namespace sidetap::webhook::registry {
namespace {

using testing::HasSubstr;
using Asked = IdentityTarget::Route;

Result<IdentityQuery> query_in(const std::string& target) {
  return identity_query_of(identity_target_of(target));
}

std::string fault_of(const std::string& target) {
  const auto query = query_in(target);
  return query ? "" : query.error().text;
}

TEST(IdentityRequest, KnowsItsRoutesInOneSpelling) {
  EXPECT_EQ(identity_target_of("/v1/taps").route, Asked::kTaps);
  EXPECT_EQ(identity_target_of("/v1/identities").route, Asked::kIdentities);
  EXPECT_EQ(identity_target_of("/v1/identities?address=10.0.0.1").route, Asked::kIdentities);
  EXPECT_EQ(identity_target_of("/v1/identities/stream").route, Asked::kStream);
  EXPECT_EQ(identity_target_of("/v1/coverage").route, Asked::kCoverage);
  for (const char* target :
       {"", "/v1/coverage/", "/", "*", "/v1/taps/", "/v1/taps/shop", "/v1/taps/shop/",
        "/v1/taps//web-1", "/v1/Taps", "/v1/taps/shop/web-1/", "/v1/taps/shop/%77eb-1",
        "/v1/taps/../identities", "/v1/identities/", "http://x/v1/taps", "/v1/taps#x"}) {
    EXPECT_EQ(identity_target_of(target).route, Asked::kNone) << target;
  }
}

TEST(IdentityRequest, ThePathThatIsJudgedHasNoQuery) {
  const auto target = identity_target_of("/v1/taps/shop/web-1.x?a=b");
  EXPECT_EQ(target.route, Asked::kTap);
  EXPECT_EQ(target.path, "/v1/taps/shop/web-1.x");
  EXPECT_EQ(target.name_space, "shop");
  EXPECT_EQ(target.pod, "web-1.x");
}

TEST(IdentityRequest, ReadsAddressAndTime) {
  const auto query = query_in("/v1/identities?address=fd00%3A%3A1&at=2026-01-02T03:04:05%2B01:00");
  ASSERT_TRUE(query);
  EXPECT_EQ(query->address, ip("fd00::1"));
  ASSERT_TRUE(query->at);
  EXPECT_EQ(identity::to_text(*query->at), "2026-01-02T02:04:05.000Z");
  const auto plain = query_in("/v1/identities?at=2026-01-02T03:04:05+01:00&address=10.0.0.1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->at, query->at);
}

TEST(IdentityRequest, ReadsThePositionThatItWrites) {
  const identity::Position position{1'735'689'600'000'000, 42};
  const auto query = query_in("/v1/identities/stream?after=" + to_text(position));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->after, position);
}

TEST(IdentityRequest, SaysWhatIsWrong) {
  EXPECT_THAT(fault_of("/v1/identities?address=here"), HasSubstr("address: "));
  EXPECT_THAT(fault_of("/v1/identities?address=10.0.0.1&at=noon"), HasSubstr("at: "));
  EXPECT_THAT(fault_of("/v1/identities?at=2026-01-02T03:04:05Z"), HasSubstr("needs an address"));
  EXPECT_THAT(fault_of("/v1/identities?address=10.0.0.1&address=10.0.0.2"), HasSubstr("each once"));
  EXPECT_THAT(fault_of("/v1/identities?adress=10.0.0.1"), HasSubstr("address and at"));
  EXPECT_THAT(fault_of("/v1/identities?address=%1"), HasSubstr("percent-encoded"));
  EXPECT_THAT(fault_of("/v1/identities?address=%zz"), HasSubstr("percent-encoded"));
  EXPECT_THAT(fault_of("/v1/identities?address=1%0a2"), HasSubstr("percent-encoded"));
  EXPECT_THAT(fault_of("/v1/identities?address=" + std::string(200, '1')), HasSubstr("too long"));
  EXPECT_THAT(fault_of("/v1/taps?address=10.0.0.1"), HasSubstr("no parameters"));
  for (const char* after : {"", "1", "1-", "-1", "1-x", "x-1", "1-2-3", "99999999999999999999-1"}) {
    EXPECT_THAT(fault_of(std::string("/v1/identities/stream?after=") + after),
                HasSubstr("not a position"))
        << after;
  }
}

}  // namespace
}  // namespace sidetap::webhook::registry
