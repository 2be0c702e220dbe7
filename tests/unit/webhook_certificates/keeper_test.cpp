// What the keeper makes, renews and publishes, beside other replicas.
#include "webhook/certificates/keeper.h"

#include <chrono>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_certificates/keeper_fixture.h"

namespace sidetap::certificates {
namespace {

using testing::Each;
using testing::HasSubstr;

TEST_F(KeeperTest, MakesTheSecretAndTheBundleWhereThereIsNothing) {
  const auto keeper = replica();
  EXPECT_FALSE(keeper->published());
  const auto due = reconcile(*keeper);
  ASSERT_TRUE(due) << due.error().text;
  EXPECT_GT(*due, now_ + std::chrono::hours(24 * 50));
  EXPECT_TRUE(keeper->published());
  EXPECT_EQ(served_.back(), stored());
  EXPECT_TRUE(bundle_is(stored().bundle()));
  EXPECT_THAT(read_facts(stored().leaf.certificate)->dns_names,
              testing::IsSupersetOf({"hook.ns.svc", "registry.ns.svc"}));
  EXPECT_EQ(api_.get(kSecret).value()["type"], "kubernetes.io/tls");
}

TEST_F(KeeperTest, WritesNothingWhenAllIsWell) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  const int writes = api_.writes();
  ASSERT_TRUE(reconcile(*keeper));
  ASSERT_TRUE(reconcile(*replica()));
  EXPECT_EQ(api_.writes(), writes);
  EXPECT_THAT(served_, Each(stored()));
}

TEST_F(KeeperTest, UsesASecretThatTheChartMadeEmpty) {
  api_.put(kSecret, {{"metadata", {{"name", "certs"}, {"labels", {{"theirs", "stays"}}}}}});
  ASSERT_TRUE(reconcile(*replica()));
  EXPECT_FALSE(stored().leaf.empty());
  EXPECT_EQ(api_.get(kSecret).value()["metadata"]["labels"]["theirs"], "stays");
}

TEST_F(KeeperTest, WhoLosesTheRaceToCreateTakesTheWinnersCertificates) {
  const auto winner = replica();
  const auto loser = replica();
  json made;
  {
    ASSERT_TRUE(reconcile(*winner));
    made = api_.get(kSecret).value();
    api_.remove(kSecret);
  }
  api_.before_write([&] { api_.put(kSecret, made); });
  ASSERT_TRUE(reconcile(*loser));
  EXPECT_EQ(stored(), state_of_secret(made));
  EXPECT_EQ(served_.back(), state_of_secret(made));
  EXPECT_THAT(metrics(*loser), HasSubstr("sidetap_webhook_certificate_conflicts_total 1"));
}

TEST_F(KeeperTest, WhoLosesTheRaceToRenewTakesTheWinnersLeaf) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  now_ += std::chrono::hours(24 * 61);
  const State renewed =
      carry_out(Step::kIssueLeaf, stored(), service_names({"hook", "registry"}, "ns"), now_, {})
          .value();
  api_.before_write([&] { api_.put(kSecret, with_state(api_.get(kSecret).value(), renewed)); });
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored(), renewed);
  EXPECT_EQ(served_.back(), renewed);
}

TEST_F(KeeperTest, PutsABundleRightThatSomebodyChanged) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  json configuration = api_.get(kConfiguration).value();
  configuration["webhooks"][1]["clientConfig"]["caBundle"] = "eA==";
  api_.put(kConfiguration, configuration);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_TRUE(bundle_is(stored().bundle()));
}

TEST_F(KeeperTest, APatchOfAnObjectThatHasChangedIsTriedOnTheNewOne) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  json configuration = api_.get(kConfiguration).value();
  configuration["webhooks"][0]["clientConfig"]["caBundle"] = "eA==";
  api_.put(kConfiguration, configuration);
  api_.before_write([&] {
    json entry = {{"name", "new"}, {"clientConfig", json::object()}};
    configuration["webhooks"].insert(configuration["webhooks"].begin(), std::move(entry));
    api_.put(kConfiguration, configuration);
  });
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(api_.get(kConfiguration).value()["webhooks"].size(), 3u);
  EXPECT_TRUE(bundle_is(stored().bundle()));
}

TEST_F(KeeperTest, AnAuthorityIsReplacedWithItsOverlaps) {
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  const std::string first = stored().authority.certificate;
  now_ += std::chrono::hours(24 * 365 * 4);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored().bundle(), first + stored().next.certificate);
  EXPECT_TRUE(bundle_is(stored().bundle()));
  now_ += std::chrono::hours(1);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored().previous, first);
  now_ += std::chrono::hours(1);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(stored().previous, "");
  EXPECT_NE(stored().authority.certificate, first);
  EXPECT_TRUE(bundle_is(stored().authority.certificate));
}

TEST_F(KeeperTest, WhatAReplicaWithAClockAheadHasMadeIsMadeAnewAndCounted) {
  now_ += std::chrono::hours(48);
  ASSERT_TRUE(reconcile(*replica()));
  now_ -= std::chrono::hours(48);
  const State early = stored();
  ASSERT_GT(read_facts(early.leaf.certificate)->not_before, now_);
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_TRUE(keeper->published());
  EXPECT_LT(read_facts(stored().leaf.certificate)->not_before, now_);
  EXPECT_EQ(served_.back(), stored());
  EXPECT_TRUE(bundle_is(stored().authority.certificate + early.authority.certificate));
  EXPECT_THAT(metrics(*keeper),
              HasSubstr("sidetap_webhook_certificates_out_of_dates_total{where=\"secret\"} 1"));
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_THAT(metrics(*keeper),
              HasSubstr("sidetap_webhook_certificates_out_of_dates_total{where=\"secret\"} 1"));
}

constexpr const char* kCollectorSecret = "/api/v1/namespaces/ns/secrets/collector";

TEST_F(KeeperTest, CollectorsGetALeafOfTheSameAuthorityAndNoKeyOfIt) {
  api_.put(kCollectorSecret, {{"metadata", {{"name", "collector"}, {"labels", {{"a", "b"}}}}}});
  collector_secret_ = "collector";
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  const json secret = api_.get(kCollectorSecret).value();
  const Pair leaf = leaf_of_secret(secret);
  EXPECT_TRUE(key_fits(leaf));
  EXPECT_NE(leaf.key, stored().leaf.key);
  EXPECT_TRUE(is_signed_by(leaf.certificate, stored().authority.certificate));
  EXPECT_THAT(read_facts(leaf.certificate)->dns_names,
              testing::IsSupersetOf({"collector.ns.svc", "*.collector.ns.svc"}));
  EXPECT_EQ(secret["data"].size(), 3U) << "tls.crt, tls.key and ca.crt";
  EXPECT_EQ(secret["data"]["ca.crt"], api_.get(kSecret).value()["data"]["bundle.crt"]);
  EXPECT_EQ(secret["metadata"]["labels"]["a"], "b");
  const int writes = api_.writes();
  ASSERT_TRUE(reconcile(*keeper));
  ASSERT_TRUE(reconcile(*replica()));
  EXPECT_EQ(api_.writes(), writes);
}

TEST_F(KeeperTest, TheCollectorsLeafIsRenewedWithItsAuthority) {
  collector_secret_ = "collector";
  const auto keeper = replica();
  ASSERT_TRUE(reconcile(*keeper));
  const Pair first = leaf_of_secret(api_.get(kCollectorSecret).value());
  now_ += std::chrono::hours(24 * 61);
  ASSERT_TRUE(reconcile(*keeper));
  const Pair second = leaf_of_secret(api_.get(kCollectorSecret).value());
  EXPECT_NE(second, first) << "two thirds of its time are over";
  now_ += std::chrono::hours(24 * 365 * 4);
  ASSERT_TRUE(reconcile(*keeper));
  EXPECT_EQ(api_.get(kCollectorSecret).value()["data"]["ca.crt"],
            api_.get(kSecret).value()["data"]["bundle.crt"])
      << "the next authority is told before it signs";
  now_ += std::chrono::hours(1);
  ASSERT_TRUE(reconcile(*keeper));
  const Pair third = leaf_of_secret(api_.get(kCollectorSecret).value());
  EXPECT_TRUE(is_signed_by(third.certificate, stored().authority.certificate));
  const std::string chain = rest_of_chain(third.certificate, now_);
  EXPECT_NE(chain, "") << "taps that know only the old authority trust it";
  EXPECT_EQ(chain, rest_of_chain(stored().leaf.certificate, now_));
}

TEST_F(KeeperTest, AFaultOfTheCollectorsSecretKeepsNobodyFromBeingServed) {
  ASSERT_TRUE(reconcile(*replica()));
  collector_secret_ = "collector";
  const auto keeper = replica();
  api_.refuse_writes(403);
  const auto failed = reconcile(*keeper);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("secrets/collector"));
  EXPECT_THAT(failed.error().text, HasSubstr("kubectl create secret generic collector"));
  EXPECT_TRUE(keeper->published());
  EXPECT_EQ(served_.back(), stored());
}

}  // namespace
}  // namespace sidetap::certificates
