// What taps learn of each other and of the authority, by the registry's server and their own
// client.
#include "webhook/registry/server.h"

#include <thread>
#include <utility>

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

TEST_F(RegistryServer, TapsLearnOfEachOther) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  const auto b = tap({ip("10.0.0.2"), ip("fd00::2")});
  EXPECT_TRUE(a->sees({}));
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2"), ip("fd00::2")}));
  a->forward(true);
  EXPECT_TRUE(b->sees({ip("10.0.0.1")}));  // A tap is no peer of its own.
  const auto late = tap({ip("10.0.0.3")});
  EXPECT_TRUE(late->sees({ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::2")}));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 2"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 3"));
}

TEST_F(RegistryServer, ATapLeavesByItsWordAndByItsEnd) {
  serve();
  const auto watcher = tap({ip("10.0.0.1")});
  const auto polite = tap({ip("10.0.0.2")});
  const auto abrupt = tap({ip("10.0.0.3")});
  polite->forward(true);
  abrupt->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2"), ip("10.0.0.3")}));
  EXPECT_TRUE(polite->sees({ip("10.0.0.3")}));
  polite->leave();  // Returns when the registry lists it no more.
  EXPECT_TRUE(watcher->sees({ip("10.0.0.3")}));
  abrupt->end();
  EXPECT_TRUE(watcher->sees({}));
}

TEST_F(RegistryServer, ATapThatNamesNoRulesIsAnOlderOneAlsoWhenItsStateChanges) {
  serve();
  const auto newer = tap({ip("10.0.0.2")});
  newer->forward(true);
  TlsClient older(port_);
  older.send(upgrade());
  EXPECT_THAT(older.read_answer(), StartsWith("HTTP/1.1 101 "));
  older.send(frame(kHello));
  older.send(frame(R"({"type":"state","addresses":["10.0.0.1"],"forwarding":true})"));
  EXPECT_TRUE(shows("sidetap_registry_published{list=\"taps\"} 2"));
  EXPECT_TRUE(shows("sidetap_registry_published{list=\"older\"} 1"));
}

TEST_F(RegistryServer, AnAddressInNewHandsIsTheNewTaps) {
  serve();
  const auto watcher = tap({ip("10.0.0.1")});
  const auto old_one = tap({ip("10.0.0.2")});
  old_one->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2")}));
  const auto new_one = tap({ip("10.0.0.2")});
  EXPECT_TRUE(watcher->sees({}));
  new_one->forward(true);
  EXPECT_TRUE(watcher->sees({ip("10.0.0.2")}));
}

TEST_F(RegistryServer, WhatAReplicaSaidEndsWithIt) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  const auto b = tap({ip("10.0.0.2")});
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2")}));
  server_->stop();
  EXPECT_TRUE(a->sees({}));  // Nobody vouches for anyone any more.
}

TEST_F(RegistryServer, TapsFollowTheAuthority) {
  serve();
  const auto a = tap({ip("10.0.0.1")});
  EXPECT_TRUE(a->sees({}));
  const auto next = testing_support::make_ca("next");
  server_->set_ca(ca_.certificate + next.certificate);
  const auto b = tap({ip("10.0.0.2")});
  b->forward(true);
  EXPECT_TRUE(a->sees({ip("10.0.0.2")}));  // By now it has heard of the authority, too.
  b->end();
  EXPECT_TRUE(a->sees({}));
  const auto leaf = testing_support::make_leaf(next, {"IP:127.0.0.1"});
  ASSERT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
  // Its next connection is to a server that only the new authority has signed.
  const std::uint16_t port = port_;
  server_.reset();
  ServerConfig config;
  config.listen = {"127.0.0.1", port};
  telemetry::MetricsRegistry metrics;
  Server again(std::move(config), tls_, metrics);
  ASSERT_TRUE(again.start());
  a->forward(true);
  for (int i = 0; i < 1000; ++i) {
    if (metrics.text().find("sidetap_registry_addresses 1") != std::string::npos) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  FAIL() << metrics.text();
}

TEST_F(RegistryServer, ACaThatDoesNotVerifyTheCertificateIsNotTold) {
  serve();
  const auto wrong = testing_support::make_ca("wrong");
  TlsClient early(port_);
  early.send(upgrade());
  EXPECT_THAT(early.read_answer(), StartsWith("HTTP/1.1 101 "));
  early.send(frame(kHello));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 1"));
  server_->set_ca(wrong.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 0"));
  server_->set_ca(ca_.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 1"));
  server_->set_ca(wrong.certificate);
  TlsClient late(port_);
  late.send(upgrade());
  EXPECT_THAT(late.read_answer(), StartsWith("HTTP/1.1 101 "));
  late.send(frame(kHello));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 2"));
  server_->stop();
  for (TlsClient* const client : {&early, &late}) {
    const std::string told = client->read_all();
    EXPECT_THAT(told, HasSubstr(wire_text(ca_.certificate)));
    EXPECT_THAT(told, testing::Not(HasSubstr(wire_text(wrong.certificate))));
  }
}

TEST_F(RegistryServer, ACaThatTheNextCertificateIsNotOfIsToldNoMore) {
  serve();
  server_->set_ca(ca_.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 1"));
  const auto next = testing_support::make_ca("next");
  const auto leaf = testing_support::make_leaf(next, {"IP:127.0.0.1"});
  ASSERT_TRUE(tls_.replace({leaf.certificate, leaf.key}));
  TlsClient client(port_);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 0"));
  server_->set_ca(next.certificate);
  EXPECT_TRUE(shows("sidetap_registry_ca_announced 1"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
