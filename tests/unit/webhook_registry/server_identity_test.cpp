// What the server's ledger knows of the taps that are connected.
#include <future>
#include <vector>

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

TEST_F(RegistryServer, WhatATapProvesIsInTheLedgerUntilItEnds) {
  serve_with_tokens();
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9"), ip("10.0.0.66")}, "good");
  a->forward(true);
  EXPECT_TRUE(shows("sidetap_identity_tenures{state=\"held\"} 2"));
  std::promise<std::vector<identity::Tap>> told;
  server_->with_view(
      [&told](const View& view) { told.set_value(view.ledger.taps_of("shop", "web-1")); });
  const auto taps = told.get_future().get();
  ASSERT_EQ(taps.size(), 1u);
  EXPECT_EQ(*taps[0].pod, (identity::Pod{"shop", "web-1", "u-1", ""}));
  ASSERT_EQ(taps[0].tenures.size(), 2u);
  EXPECT_EQ(taps[0].tenures[0].address, ip("10.0.0.9"));
  EXPECT_EQ(taps[0].tenures[1].address, ip("127.0.0.1"));
  a->end();
  EXPECT_TRUE(shows("sidetap_identity_tenures{state=\"held\"} 0"));
  EXPECT_TRUE(shows("sidetap_identity_tenures{state=\"ended\"} 2"));
}

TEST_F(RegistryServer, WithoutTokensTheLedgerStaysEmpty) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  a->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_identity_changes_total 0"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
