#include "webhook/identity/ledger.h"

#include <map>

#include "tests/unit/webhook_identity/ledger_fixture.h"

namespace sidetap::webhook::identity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(LedgerTest, APodHoldsAnAddressFromItsProofOn) {
  Ledger ledger(LedgerConfig{});
  EXPECT_EQ(ask(ledger, a_, 10), "unknown");
  prove(ledger, 1, "web-1", a_, 10);
  EXPECT_EQ(ask(ledger, a_, 9), "uncertain, before web-1 10-");
  EXPECT_EQ(ask(ledger, a_, 10), "held web-1 10-");
  EXPECT_EQ(ask(ledger, a_, 99), "held web-1 10-");
  EXPECT_EQ(ask(ledger, b_, 10), "unknown");
}

TEST_F(LedgerTest, AnotherPodsProofEndsTheTenureAtOnce) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", a_, 20);
  EXPECT_EQ(short_text(ledger.ask(a_, at(20) - std::chrono::milliseconds(1))), "held web-1 10-20");
  EXPECT_EQ(ask(ledger, a_, 20), "held web-2 20-");
  EXPECT_EQ(ask(ledger, a_, 30), "held web-2 20-");
}

TEST_F(LedgerTest, AProofInTheSameMomentLeavesNoTimeToThePreviousPod) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", a_, 10);
  EXPECT_EQ(ask(ledger, a_, 10), "held web-2 10-");
}

TEST_F(LedgerTest, ASilentPodHeldItsAddressUntilItWasLastHeard) {
  LedgerConfig config;
  std::map<ConnectionId, Time> heard{{1, at(14)}};
  config.heard = [&heard](ConnectionId id) -> std::optional<Time> {
    const auto found = heard.find(id);
    if (found == heard.end()) return std::nullopt;
    return found->second;
  };
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", a_, 20);
  EXPECT_EQ(ask(ledger, a_, 13), "held web-1 10-14");
  EXPECT_EQ(ask(ledger, a_, 15), "uncertain, after web-1 10-14, before web-2 20-");
  // Who was last heard before its proof held it at no time that is known.
  heard[2] = at(5);
  prove(ledger, 3, "web-3", a_, 30);
  EXPECT_EQ(ask(ledger, a_, 25), "uncertain, after web-2 20-20, before web-3 30-");
  ledger.end(3, at(33), at(39));
  EXPECT_EQ(ask(ledger, a_, 35), "uncertain, after web-3 30-33");
}

TEST_F(LedgerTest, AfterTheConnectionNobodyIsKnownToHoldTheAddress) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 10);
  end(ledger, 1, 20);
  EXPECT_EQ(ask(ledger, a_, 15), "held web-1 10-20");
  EXPECT_EQ(ask(ledger, a_, 20), "uncertain, after web-1 10-20");
  prove(ledger, 2, "web-2", a_, 30);
  EXPECT_EQ(ask(ledger, a_, 25), "uncertain, after web-1 10-20, before web-2 30-");
  EXPECT_EQ(ask(ledger, a_, 30), "held web-2 30-");
  end(ledger, 2, 40);
  prove(ledger, 3, "web-3", a_, 50);
  EXPECT_EQ(ask(ledger, a_, 45), "uncertain, after web-2 30-40, before web-3 50-");
  EXPECT_EQ(ask(ledger, a_, 5), "uncertain, before web-1 10-20");
}

TEST_F(LedgerTest, AnAddressThatIsNoLongerClaimedIsNoLongerHeld) {
  Ledger ledger(LedgerConfig{});
  ledger.update(1, pod("web-1"), {a_, c_, a_}, at(10));
  ledger.update(1, pod("web-1"), {c_}, at(20));
  EXPECT_EQ(ask(ledger, a_, 20), "uncertain, after web-1 10-20");
  EXPECT_EQ(ask(ledger, c_, 20), "held web-1 10-");
  ledger.update(1, pod("web-1"), {}, at(30));
  EXPECT_EQ(ask(ledger, c_, 30), "uncertain, after web-1 10-30");
  EXPECT_EQ(ledger.held(), 0u);
}

TEST_F(LedgerTest, ThePodThatConnectsAgainContinuesItsTenure) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 10);
  end(ledger, 1, 20);
  prove(ledger, 2, "web-1", a_, 30);
  EXPECT_EQ(ask(ledger, a_, 25), "held web-1 10-");
  // The old connection may end after the new one has begun.
  prove(ledger, 3, "web-1", a_, 40);
  end(ledger, 2, 41);
  EXPECT_EQ(ask(ledger, a_, 50), "held web-1 10-");
  end(ledger, 3, 60);
  EXPECT_EQ(ask(ledger, a_, 60), "uncertain, after web-1 10-60");
}

TEST_F(LedgerTest, APodWithTheSameNameIsAnotherPod) {
  Ledger ledger(LedgerConfig{});
  ledger.update(1, {"shop", "web-0", "u-1", "n1"}, {a_}, at(10));
  ledger.end(1, at(20), at(20));
  ledger.update(2, {"shop", "web-0", "u-2", "n1"}, {a_}, at(30));
  EXPECT_EQ(ask(ledger, a_, 25), "uncertain, after u-1 10-20, before u-2 30-");
}

TEST_F(LedgerTest, ATenureIsNotContinuedAfterTooLongOrAfterAnotherPod) {
  LedgerConfig config;
  config.continues = std::chrono::seconds(60);
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  end(ledger, 1, 20);
  prove(ledger, 2, "web-1", a_, 81);
  EXPECT_EQ(ask(ledger, a_, 50), "uncertain, after web-1 10-20, before web-1 81-");
  prove(ledger, 3, "web-2", a_, 90);
  end(ledger, 3, 91);
  prove(ledger, 4, "web-1", a_, 95);
  EXPECT_EQ(ask(ledger, a_, 90), "held web-2 90-91");
  EXPECT_EQ(ask(ledger, a_, 93), "uncertain, after web-2 90-91, before web-1 95-");
  EXPECT_EQ(ask(ledger, a_, 95), "held web-1 95-");
}

TEST_F(LedgerTest, AnOlderConnectionNeverTakesAnAddressFromANewerOne) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", a_, 20);
  prove(ledger, 1, "web-1", a_, 25);
  EXPECT_EQ(ask(ledger, a_, 25), "held web-2 20-");
  // Nor after the newer one has ended.
  end(ledger, 2, 30);
  prove(ledger, 1, "web-1", a_, 40);
  EXPECT_EQ(ask(ledger, a_, 40), "uncertain, after web-2 20-30");
  end(ledger, 1, 50);
  EXPECT_EQ(ask(ledger, a_, 50), "uncertain, after web-2 20-30");
  // On a new connection it may.
  prove(ledger, 3, "web-1", a_, 60);
  EXPECT_EQ(ask(ledger, a_, 60), "held web-1 60-");
}

TEST_F(LedgerTest, WhatAnOlderConnectionHasLostStaysLostWhenTheNewerTenureIsForgotten) {
  LedgerConfig config;
  config.keep = std::chrono::seconds(10);
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", a_, 20);
  end(ledger, 2, 30);
  prove(ledger, 1, "web-1", a_, 100);
  EXPECT_EQ(ask(ledger, a_, 100), "unknown");
}

TEST_F(LedgerTest, TimeNeverGoesBack) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 20);
  prove(ledger, 2, "web-2", a_, 10);
  EXPECT_EQ(ask(ledger, a_, 19), "uncertain, before web-1 20-20");
  EXPECT_EQ(ask(ledger, a_, 20), "held web-2 20-");
}

TEST_F(LedgerTest, TapsAreListedByNameWithWhatTheyHoldNow) {
  Ledger ledger(LedgerConfig{});
  ledger.update(3, pod("web-2"), {b_}, at(10));
  ledger.update(1, pod("web-1"), {c_, a_}, at(11));
  ledger.update(2, pod("web-3"), {}, at(12));
  // The same pod on a second connection.
  ledger.update(4, pod("web-1"), {a_}, at(13));
  ledger.update(5, pod("web-4"), {c_}, at(14));
  const auto taps = ledger.taps();
  ASSERT_EQ(taps.size(), 4u);
  EXPECT_EQ(taps[0].pod->name, "web-1");
  EXPECT_THAT(short_texts(taps[0].tenures), ElementsAre("10.0.0.1 web-1 11-"));
  EXPECT_THAT(short_texts(taps[1].tenures), ElementsAre("10.0.0.2 web-2 10-"));
  EXPECT_THAT(short_texts(taps[2].tenures), IsEmpty());
  EXPECT_THAT(short_texts(taps[3].tenures), ElementsAre("fd00::3 web-4 14-"));
  ledger.end(3, at(20), at(20));
  EXPECT_THAT(ledger.taps_of("shop", "web-2"), IsEmpty());
  EXPECT_THAT(ledger.taps_of("bank", "web-1"), IsEmpty());
  EXPECT_THAT(short_texts(ledger.taps_of("shop", "web-4").at(0).tenures),
              ElementsAre("fd00::3 web-4 14-"));
}

TEST_F(LedgerTest, OfTwoPodsWithOneNameTheNewerComesFirst) {
  Ledger ledger(LedgerConfig{});
  ledger.update(1, {"shop", "web-0", "u-2", "n1"}, {a_}, at(10));
  ledger.update(2, {"shop", "web-0", "u-1", "n2"}, {b_}, at(11));
  const auto taps = ledger.taps_of("shop", "web-0");
  ASSERT_EQ(taps.size(), 2u);
  EXPECT_EQ(taps[0].pod->uid, "u-1");
  EXPECT_EQ(taps[1].pod->uid, "u-2");
}

TEST_F(LedgerTest, OfEachAddressTheNewestTenureIsThere) {
  Ledger ledger(LedgerConfig{});
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", a_, 20);
  prove(ledger, 3, "web-3", b_, 21);
  end(ledger, 3, 30);
  EXPECT_THAT(short_texts(ledger.tenures()),
              ElementsAre("10.0.0.1 web-1 10-20", "10.0.0.1 web-2 20-", "10.0.0.2 web-3 21-30"));
  EXPECT_THAT(short_texts(ledger.newest_tenures()),
              ElementsAre("10.0.0.1 web-2 20-", "10.0.0.2 web-3 21-30"));
  EXPECT_THAT(short_texts(ledger.newest_tenures(at(30))),
              ElementsAre("10.0.0.1 web-2 20-", "10.0.0.2 web-3 21-30"));
  EXPECT_THAT(short_texts(ledger.newest_tenures(at(31))), ElementsAre("10.0.0.1 web-2 20-"));
}

}  // namespace
}  // namespace sidetap::webhook::identity
