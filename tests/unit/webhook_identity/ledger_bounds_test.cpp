// What the ledger forgets.
#include "tests/unit/webhook_identity/ledger_fixture.h"

namespace sidetap::webhook::identity {
namespace {

using testing::ElementsAre;

TEST_F(LedgerTest, ATenureIsForgottenSomeTimeAfterItsEnd) {
  LedgerConfig config;
  config.keep = std::chrono::seconds(100);
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", b_, 10);
  end(ledger, 1, 20);
  ledger.expire(at(120));
  EXPECT_EQ(ledger.ended(), 1u);
  const auto revision = ledger.revision();
  ledger.expire(at(121));
  EXPECT_EQ(ledger.ended(), 0u);
  EXPECT_GT(ledger.revision(), revision);
  EXPECT_EQ(ask(ledger, a_, 15), "unknown");
  // What goes on is not forgotten, however long it lasts.
  ledger.expire(at(100'000));
  EXPECT_EQ(ask(ledger, b_, 15), "held web-2 10-");
  EXPECT_EQ(ledger.dropped(), 0u);
}

TEST_F(LedgerTest, ATenureThatGoesOnAgainIsNotForgotten) {
  LedgerConfig config;
  config.keep = std::chrono::seconds(100);
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  end(ledger, 1, 20);
  prove(ledger, 2, "web-1", a_, 30);
  ledger.expire(at(1'000));
  EXPECT_EQ(ask(ledger, a_, 15), "held web-1 10-");
  EXPECT_EQ(ledger.held(), 1u);
}

TEST_F(LedgerTest, IfThereAreTooManyWhatEndedFirstIsForgotten) {
  LedgerConfig config;
  config.most_tenures = 3;
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", b_, 11);
  prove(ledger, 3, "web-3", c_, 12);
  end(ledger, 2, 20);
  end(ledger, 1, 21);
  prove(ledger, 4, "web-4", c_, 30);
  EXPECT_THAT(short_texts(ledger.tenures()),
              ElementsAre("10.0.0.1 web-1 10-21", "fd00::3 web-3 12-30", "fd00::3 web-4 30-"));
  EXPECT_EQ(ledger.dropped(), 1u);
  EXPECT_EQ(ledger.held(), 1u);
  EXPECT_EQ(ledger.ended(), 2u);
}

TEST_F(LedgerTest, WhatIsHeldIsNeverForgottenAndWhatDoesNotFitIsLeftOut) {
  LedgerConfig config;
  config.most_tenures = 1;
  Ledger ledger(config);
  prove(ledger, 1, "web-1", a_, 10);
  prove(ledger, 2, "web-2", b_, 11);
  EXPECT_EQ(ask(ledger, a_, 12), "held web-1 10-");
  EXPECT_EQ(ask(ledger, b_, 12), "unknown");
  EXPECT_EQ(ledger.dropped(), 1u);
  // Another pod's proof counts even here.
  prove(ledger, 3, "web-3", a_, 20);
  EXPECT_EQ(ask(ledger, a_, 20), "held web-3 20-");
  // What was left out is taken when there is room.
  end(ledger, 3, 30);
  prove(ledger, 2, "web-2", b_, 31);
  EXPECT_EQ(ask(ledger, b_, 31), "held web-2 31-");
}

}  // namespace
}  // namespace sidetap::webhook::identity
