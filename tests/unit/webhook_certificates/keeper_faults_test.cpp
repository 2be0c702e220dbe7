// What the keeper does when the API server refuses, is slow or gone, or answers nonsense.
#include <cstddef>
#include <exception>
#include <string>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_certificates/keeper_fixture.h"

namespace sidetap::certificates {
namespace {

using testing::HasSubstr;

TEST_F(KeeperTest, RefusalsAreNamedAndLeaveEverythingAsItIs) {
  const auto keeper = replica();
  for (const unsigned status : {401u, 403u, 500u, 503u}) {
    api_.fail({status});
    const auto failed = reconcile(*keeper);
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().text, HasSubstr(std::to_string(status) + " Made up"));
    EXPECT_THAT(failed.error().text, HasSubstr(kSecret));
  }
  EXPECT_EQ(api_.writes(), 0);
  EXPECT_TRUE(served_.empty());
  EXPECT_THAT(metrics(*keeper), HasSubstr("sidetap_webhook_certificate_failures_total 4"));
}

TEST_F(KeeperTest, WithoutItsConfigurationItServesButHasNotPublished) {
  api_.remove(kConfiguration);
  const auto keeper = replica();
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("MutatingWebhookConfiguration sidetap: 404"));
  EXPECT_FALSE(served_.empty());
  EXPECT_FALSE(keeper->published());
}

TEST_F(KeeperTest, ASlowApiServerIsGivenUp) {
  const auto keeper = replica(milliseconds(100));
  api_.fail({0});
  EXPECT_FALSE(reconcile(*keeper));
}

TEST_F(KeeperTest, AnApiServerThatIsGoneIsAnError) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  api_.stop();
  EXPECT_FALSE(reconcile(*keeper));
  EXPECT_TRUE(keeper->published());  // What was published stays so.
}

TEST_F(KeeperTest, AnAnswerThatIsNoObjectIsAnError) {
  const auto keeper = replica();
  for (const char* odd : {"[]", "null", "1"}) {
    api_.answer_with(odd);
    const auto failed = reconcile(*keeper);
    ASSERT_FALSE(failed) << odd;
    EXPECT_THAT(failed.error().text, HasSubstr(kSecret));
  }
  EXPECT_EQ(api_.writes(), 0);
  EXPECT_FALSE(keeper->published());
}

TEST_F(KeeperTest, ASecretThatIsMissingAndMayNotBeMadeIsNamedWithTheRemedy) {
  api_.refuse_writes(403);
  const auto keeper = replica();
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("403 Made up"));
  EXPECT_THAT(failed.error().text, HasSubstr("helm upgrade"));
  EXPECT_THAT(failed.error().text, HasSubstr("kubectl create secret generic certs"));
}

TEST_F(KeeperTest, AnImmutableSecretIsNamedAsSuch) {
  api_.put(kSecret, {{"metadata", {{"name", "certs"}}}, {"immutable", true}});
  const auto keeper = replica();
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("is immutable"));
  EXPECT_EQ(api_.writes(), 0);
}

TEST_F(KeeperTest, AWriteThatIsInvalidIsNoConflict) {
  const auto keeper = replica();
  api_.refuse_writes(422);
  EXPECT_THAT(reconcile(*keeper).error().text, HasSubstr("422 Made up"));
  EXPECT_EQ(api_.writes(), 1);
  api_.refuse_writes(0);
  ASSERT_TRUE(reconcile(*keeper));
  json configuration = api_.get(kConfiguration).value();
  configuration["webhooks"][1]["clientConfig"]["caBundle"] = "eA==";
  api_.put(kConfiguration, configuration);
  api_.refuse_writes(422);
  const int before = api_.writes();
  EXPECT_THAT(reconcile(*keeper).error().text,
              HasSubstr("MutatingWebhookConfiguration sidetap: 422 Made up"));
  EXPECT_EQ(api_.writes(), before + 1);
  EXPECT_THAT(metrics(*keeper), HasSubstr("sidetap_webhook_certificate_conflicts_total 0"));
}

TEST_F(KeeperTest, AnAnswerNestedWithoutEndIsAnErrorLikeOthers) {
  const auto keeper = replica();
  const std::size_t depth = 60'000;
  api_.answer_with(R"({"metadata":{"name":"certs","x":)" + std::string(depth, '[') +
                   std::string(depth, ']') + "}}");
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("nested deeper than 128 levels"));
  EXPECT_EQ(api_.writes(), 0);
  EXPECT_TRUE(reconcile(*keeper));
}

TEST_F(KeeperTest, RunningItTriesAgainUntilItSucceedsAndEndsWhenCancelled) {
  const auto keeper = replica();
  api_.fail({500, 403, 401, 409, 503});
  serve_throws_ = true;
  asio::cancellation_signal cancel;
  bool ended = false;
  asio::co_spawn(context_, keeper->run(),
                 asio::bind_cancellation_slot(cancel.slot(),
                                              [&](const std::exception_ptr&) { ended = true; }));
  while (!keeper->published() && !ended) context_.run_one_for(std::chrono::seconds(10));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(bundle_is(stored().bundle()));
  EXPECT_THAT(metrics(*keeper), HasSubstr("sidetap_webhook_certificate_failures_total 6"));
  cancel.emit(asio::cancellation_type::terminal);
  context_.run();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace sidetap::certificates
