// Which addresses of a tap the registry believes: those that its connection or its pod proves.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/webhook_registry/server_fixture.h"

namespace sidetap::webhook::registry {
namespace {

TEST_F(RegistryServer, ATokenProvesAPodAndItsAddresses) {
  serve_with_tokens();
  // One address by the connection, one by the pod's status, one by nothing.
  const auto liar = tap({ip("127.0.0.1"), ip("10.0.0.9"), ip("10.0.0.66")}, "good");
  liar->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  EXPECT_TRUE(shows("sidetap_registry_unproven_addresses_total"));
}

TEST_F(RegistryServer, AnAddressThatTheKubeletHasNotToldYetIsNoFault) {
  answers_without_status_ = 3;
  serve_with_tokens();
  const auto fresh = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  fresh->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  EXPECT_THAT(metrics_.text(),
              testing::Not(HasSubstr("sidetap_registry_unproven_addresses_total")));
}

TEST_F(RegistryServer, WithoutTheRightToGetPodsTheConnectionsAddressIsProof) {
  may_get_pods_ = false;
  serve_with_tokens();
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
  const auto forger = tap({ip("10.0.0.66")}, "good");
  forger->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"addresses\"}"));
  EXPECT_TRUE(shows("sidetap_registry_addresses 1"));
}

TEST_F(RegistryServer, WhoIsRefusedHearsWhyThoughNewsIsOnItsWay) {
  serve_with_tokens();
  // What the API server has said of the pod is known at once from then on.
  const auto owner = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  owner->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_addresses 2"));
  const std::string hello =
      R"({"type":"hello","version":1,"addresses":["10.0.0.66"],"forwarding":true})";
  for (int i = 0; i < 3; ++i) {
    TlsClient client(port_);
    client.send(upgrade("Authorization: Bearer good\r\n"));
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 101 "));
    client.send(frame(hello));
    EXPECT_THAT(client.read_all(), HasSubstr("none of the addresses"));
  }
}

TEST_F(RegistryServer, WhoIsRefusedTwiceAtOnceIsGone) {
  pod_hangs_ = true;
  serve_with_tokens();
  // More than the sockets take: what it is told stays under way until it reads.
  server_->set_ca(ca_.certificate + std::string(8u << 20, 'x'));
  const auto client = asking("good");
  EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 101 "));
  client->send(
      frame(R"({"type":"hello","version":1,"addresses":["10.0.0.66"],"forwarding":true})"));
  for (int i = 0; i < 1000 && pods_asked_for_ == 0; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  pod_hangs_ = false;
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"addresses\"} 1"));
  client->send(frame("nonsense"));
  EXPECT_TRUE(shows("sidetap_registry_refused_total{reason=\"protocol\"} 1"));
  client->read_all();
  EXPECT_TRUE(shows("sidetap_registry_connections 0"));
  EXPECT_TRUE(ends_soon());
}

TEST_F(RegistryServer, WhatTheConnectionProvesCountsWhileTheApiServerFails) {
  pod_fails_ = true;
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(watcher->sees({ip("127.0.0.1")}));
  pod_fails_ = false;
  EXPECT_TRUE(watcher->sees({ip("10.0.0.9"), ip("127.0.0.1")})) << "it is asked again";
}

TEST_F(RegistryServer, ThatATapForwardsNoMoreWaitsForNoProof) {
  pod_hangs_ = true;
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  a->forward(true);
  EXPECT_TRUE(watcher->sees({ip("127.0.0.1")}));
  a->forward(false);
  EXPECT_TRUE(watcher->sees({}));
  pod_hangs_ = false;
}

TEST_F(RegistryServer, AnAddressIsProvedOnceForAConnectionAndNotForATapThatIsIdle) {
  serve_with_tokens();
  const auto watcher = tap({}, "good");
  EXPECT_TRUE(watcher->sees({}));
  const auto a = tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good");
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 2"));
  EXPECT_EQ(pods_asked_for_, 0);
  for (int i = 0; i < 3; ++i) {
    a->forward(true);
    EXPECT_TRUE(watcher->sees({ip("10.0.0.9"), ip("127.0.0.1")}));
    a->forward(false);
    EXPECT_TRUE(watcher->sees({}));
  }
  EXPECT_EQ(pods_asked_for_, 1);
}

TEST_F(RegistryServer, AddressesThatAreBeingProvedDoNotHoldTheEndUp) {
  pod_hangs_ = true;
  serve_with_tokens();
  std::vector<std::unique_ptr<Tap>> taps;
  for (int i = 0; i < 6; ++i) taps.push_back(tap({ip("127.0.0.1"), ip("10.0.0.9")}, "good"));
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"idle\"} 6"));
  for (const auto& tap : taps) tap->forward(true);
  EXPECT_TRUE(shows("sidetap_registry_taps{state=\"forwarding\"} 6"));
  EXPECT_TRUE(ends_soon());
  pod_hangs_ = false;
}

}  // namespace
}  // namespace sidetap::webhook::registry
