// What the registry has proved, and what that means for taps.
#include "sidecar/collector/tap_proof.h"

#include <string>

#include <gtest/gtest.h>

#include "sidecar/collector/proof_book.h"
#include "tests/support/addresses.h"

namespace sidetap::collector {
namespace {

using Kind = Judgement::Kind;

/// A line as the registry writes it; `to` is JSON.
std::string tenure(const std::string& address, const std::string& pod, const std::string& uid,
                   const std::string& to = "null",
                   const std::string& from = "2026-01-02T03:04:05.678Z") {
  return R"({"ip":[")" + address + R"("],"namespace":"shop","pod":")" + pod + R"(","uid":")" + uid +
         R"(","node":"n1","from":")" + from + R"(","to":)" + to + "}";
}
const std::string kEnd = R"("2026-01-02T04:00:00.000Z")";
const std::string kPosition = R"({"position":"17-1"})";

TEST(ProofBook, KnowsWhoHoldsAnAddressNow) {
  ProofBook book;
  ASSERT_TRUE(book.take(tenure("10.244.1.7", "cart", "u1")));
  ASSERT_TRUE(book.take(tenure("fd00::7", "cart", "u1")));
  ASSERT_TRUE(book.take(tenure("10.244.1.8", "old", "u2", kEnd)));
  const auto cart = book.find("shop/cart", ip("10.244.1.7"));
  ASSERT_TRUE(cart);
  EXPECT_EQ(cart->uid, "u1");
  EXPECT_EQ(cart->node, "n1");
  EXPECT_EQ(cart->addresses.size(), 2U);
  EXPECT_FALSE(book.find("shop/cart", ip("10.244.1.8")));
  EXPECT_FALSE(book.find("shop/old", ip("10.244.1.8"))) << "it held it";
  EXPECT_FALSE(book.lists("shop/old"));
  EXPECT_EQ(book.held(), 2U);
}

TEST(ProofBook, FollowsChanges) {
  ProofBook book;
  ASSERT_TRUE(book.take(tenure("10.244.1.7", "cart", "u1")));
  ASSERT_TRUE(book.take(tenure("10.244.1.7", "cart", "u1"))) << "it replaces the same";
  EXPECT_EQ(book.held(), 1U);
  ASSERT_TRUE(book.take(tenure("10.244.1.7", "cart", "u1", kEnd)));
  EXPECT_FALSE(book.lists("shop/cart"));
  ASSERT_TRUE(book.take(tenure("10.244.1.7", "cart", "u1"))) << "it goes on";
  ASSERT_TRUE(book.take(tenure("10.244.1.7", "cart", "u9", "null", "2026-01-02T05:00:00.000Z")));
  EXPECT_EQ(book.find("shop/cart", ip("10.244.1.7"))->uid, "u9") << "the newest of that name";
}

TEST(ProofBook, TellsThePodAndThePositionOfALine) {
  ProofBook book;
  auto taken = book.take(tenure("10.244.1.7", "cart", "u1"));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->pod, "shop/cart");
  EXPECT_EQ(taken->position, "");
  taken = book.take(kPosition);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->pod, "");
  EXPECT_EQ(taken->position, "17-1");
}

TEST(ProofBook, RefusesWhatIsNoLineOfTheStream) {
  ProofBook book;
  std::string many = R"({"ip":[)";
  for (int i = 0; i < 1'000; ++i) many += R"("10.0.0.1",)";
  many += R"("10.0.0.1"],"namespace":"a","pod":"b","uid":"c","node":"d","from":"e","to":null})";
  for (const std::string& line :
       {std::string("{"), std::string("[]"), std::string("{}"), std::string("null"),
        std::string(R"({"position":7})"), std::string(R"({"position":"1-1 HTTP/1.1\r\nX: y"})"),
        std::string(R"({"ip":"10.0.0.1","namespace":"a","pod":"b","to":null})"),
        std::string(R"({"ip":[7],"namespace":"a","pod":"b","to":null})"),
        std::string(R"({"ip":["10.0.0.1"],"namespace":"a","pod":"b","uid":"u","from":"f"})"),
        std::string(R"({"ip":["10.0.0.1"],"namespace":"a","to":null})"),
        tenure("10.0.0.1", "a/b", "u"), tenure("10.0.0.1", "a\\nb", "u"),
        tenure("10.0.0.1", std::string(300, 'x'), "u"), tenure("10.0.0", "cart", "u"), many,
        std::string(100'000, '[')}) {
    EXPECT_FALSE(book.take(line)) << line.substr(0, 100);
  }
  EXPECT_EQ(book.held(), 0U);
}

TEST(TapProof, AdmitsATapOnlyFromAnAddressOfItsPod) {
  TapProof proof(ProofConfig{});
  proof.begin_list();
  ASSERT_TRUE(proof.take(tenure("10.244.1.7", "cart", "u1")));
  ASSERT_TRUE(proof.take(kPosition));
  EXPECT_EQ(proof.judge("shop/cart", ip("10.244.1.7"), false).kind, Kind::kProved);
  const Judgement other = proof.judge("shop/cart", ip("10.244.1.8"), true);
  EXPECT_EQ(other.kind, Kind::kNotNow);
  EXPECT_EQ(other.reason, "other-address");
  EXPECT_EQ(proof.judge("shop/web", ip("10.244.1.7"), true).reason, "unlisted");
  EXPECT_EQ(proof.judge("", ip("10.244.1.7"), true).kind, Kind::kNotNow);
}

TEST(TapProof, BeforeAnythingIsKnownTheOperatorDecides) {
  TapProof admitting(ProofConfig{.admit_unproven = true});
  TapProof refusing(ProofConfig{.admit_unproven = false});
  for (TapProof* const proof : {&admitting, &refusing}) {
    proof->begin_list();
    ASSERT_TRUE(proof->take(tenure("10.244.1.7", "cart", "u1")));
    EXPECT_EQ(proof->judge("shop/cart", ip("10.244.1.7"), false).kind, Kind::kNotNow)
        << "the list is not complete";
  }
  EXPECT_EQ(admitting.judge("shop/cart", ip("10.0.0.1"), true).kind, Kind::kUnproven);
  EXPECT_EQ(refusing.judge("shop/cart", ip("10.0.0.1"), true).reason, "registry");
  admitting.lose();
  refusing.lose();
  EXPECT_EQ(admitting.judge("shop/cart", ip("10.0.0.1"), false).kind, Kind::kUnproven)
      << "without a wait";
  EXPECT_EQ(refusing.judge("shop/cart", ip("10.0.0.1"), true).kind, Kind::kNotNow);
}

TEST(TapProof, WhatWasProvedStaysInForceWhileTheRegistryIsAway) {
  TapProof proof(ProofConfig{.admit_unproven = true});
  proof.begin_list();
  ASSERT_TRUE(proof.take(tenure("10.244.1.7", "cart", "u1")));
  ASSERT_TRUE(proof.take(kPosition));
  proof.lose();
  EXPECT_EQ(proof.judge("shop/cart", ip("10.244.1.7"), false).kind, Kind::kProved);
  EXPECT_EQ(proof.judge("shop/cart", ip("10.244.1.9"), true).kind, Kind::kNotNow);
  proof.begin_list();
  EXPECT_EQ(proof.judge("shop/cart", ip("10.244.1.7"), false).kind, Kind::kProved)
      << "until the new list is complete";
  ASSERT_TRUE(proof.take(kPosition));
  EXPECT_EQ(proof.judge("shop/cart", ip("10.244.1.7"), true).reason, "unlisted");
}

TEST(TapProof, WakesThoseWhomAChangeConcerns) {
  TapProof proof(ProofConfig{});
  async::Interruption cart;
  async::Interruption web;
  const TapProof::Waiting first(proof, "shop/cart", cart);
  const TapProof::Waiting second(proof, "shop/web", web);
  proof.lose();
  EXPECT_TRUE(cart.requested()) << "nothing will be known soon";
  cart.clear();
  web.clear();
  proof.begin_list();
  ASSERT_TRUE(proof.take(tenure("10.244.1.7", "cart", "u1")));
  EXPECT_FALSE(cart.requested());
  ASSERT_TRUE(proof.take(kPosition));
  EXPECT_TRUE(cart.requested());
  EXPECT_TRUE(web.requested());
  cart.clear();
  web.clear();
  ASSERT_TRUE(proof.take(tenure("10.244.1.8", "cart", "u1")));
  EXPECT_TRUE(cart.requested());
  EXPECT_FALSE(web.requested());
}

}  // namespace
}  // namespace sidetap::collector
