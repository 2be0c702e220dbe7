// The registry's client against replicas on the loopback: what it says, hears and dials.
#include "sidecar/registry/client.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/client_fixture.h"
#include "tests/unit/sidecar_registry/slow_way.h"

namespace sidetap::registry {
namespace {

using testing::HasSubstr;

TEST_F(RegistryClient, SaysHelloWithItsTokenAndLearnsItsPeers) {
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(wait_for_peers({})) << "nobody is tapped until a replica says so";
  EXPECT_EQ(registry_.receive(), hello(false));
  EXPECT_EQ(registry_.authorization(), "Bearer first");
  EXPECT_EQ(registry_.target(), "/v1/taps");
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2","10.0.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.1"), ip("10.0.0.2")}));
  registry_.send(
      R"({"type":"change","from":1,"version":2,"add":["10.0.0.3"],"remove":["10.0.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2"), ip("10.0.0.3")}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_peers 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_replicas 1"));
}

TEST_F(RegistryClient, LearnsOfWhichServicesEveryBackendIsTapped) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"services":["10.96.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}, Addresses{ip("10.96.0.1")}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_tapped_services 1"));
  registry_.send(R"({"type":"change","from":1,"version":2,"add":[],"remove":[],)"
                 R"("add_services":["10.96.0.2"],"remove_services":["10.96.0.1"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}, Addresses{ip("10.96.0.2")}));
  registry_.send(R"({"type":"snapshot","version":3,"taps":["10.0.0.2"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "a registry that no longer tells";
}

TEST_F(RegistryClient, LearnsTheListsOfRulesTwo) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  Lists lists;
  lists.taps = {ip("10.0.0.2"), ip("10.0.0.3")};
  lists.older = {ip("10.0.0.3")};
  lists.nodes = {ip("172.18.0.2")};
  lists.client_owned = {endpoint("10.0.0.2:80/tcp"), endpoint("10.1.2.3:80/tcp")};
  lists.server_ports = {endpoint("0.0.0.0:80/tcp")};
  lists.front_ends = {endpoint("0.0.0.0:30080/tcp")};
  registry_.send(encode(snapshot(1, lists)));
  Peers all;
  all.tapped = lists.taps;
  all.older = lists.older;
  all.services = Addresses();
  all.nodes = lists.nodes;
  all.client_owned = lists.client_owned;
  all.server_ports = lists.server_ports;
  all.front_ends = lists.front_ends;
  EXPECT_TRUE(wait([&] { return peers_ == all; }));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_client_owned_endpoints 2"));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_older_peers 1"));
  registry_.send(R"({"type":"change","from":1,"version":2,"add":[],"remove":[],)"
                 R"("remove_older":["10.0.0.3"],"remove_client_owned":["10.0.0.2:80/tcp"]})");
  EXPECT_TRUE(wait([&] { return peers_->older.empty() && peers_->client_owned.size() == 1; }));
}

TEST_F(RegistryClient, AppliesRulesOneToThePeersOfAnOlderRegistry) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"services":[]})");
  EXPECT_TRUE(wait([&] { return peers_ && peers_->older == Addresses{ip("10.0.0.2")}; }));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_older_peers 1"));
}

TEST_F(RegistryClient, TellsWhenItForwardsAndWhenItsAddressesChange) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  forward();
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, true}));
  forward();
  const Addresses both = {ip("10.1.2.3"), ip("fd00::3")};
  on_thread([this, both] { client_->set_own({both, both}); });
  EXPECT_EQ(registry_.receive(), encode(State{both, true}));
  on_thread([this, both] { client_->set_own({both, {ip("fd00::3")}}); });
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("fd00::3")}, true}))
      << "one interface has lost its sensor";
  on_thread([this, both] { client_->set_own({both, {}}); });
  EXPECT_EQ(registry_.receive(), encode(State{both, false}));
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(50)));
}

TEST_F(RegistryClient, AsksForASnapshotOnceAfterAGap) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  registry_.send(R"({"type":"change","from":4,"version":5,"add":["10.0.0.3"],"remove":[]})");
  registry_.send(R"({"type":"change","from":5,"version":6,"add":["10.0.0.4"],"remove":[]})");
  EXPECT_EQ(registry_.receive(), encode(Resync{}));
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(50)));
  EXPECT_TRUE(wait_for_peers({}));
  registry_.send(R"({"type":"snapshot","version":6,"taps":["10.0.0.4"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.4")}));
}

TEST_F(RegistryClient, DialsAgainWithTheTokenOfTheMomentAndSaysWhatHoldsThen) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  forward();
  registry_.receive();
  folder_.write("token", "renewed");
  registry_.cut();
  EXPECT_EQ(registry_.receive(), hello(true));
  EXPECT_EQ(registry_.authorization(), "Bearer renewed");
}

TEST_F(RegistryClient, TakesTheTokenFromWhereItIsHeld) {
  ClientConfig with = config();
  with.token = [] { return Result<std::string>(std::string("held")); };
  ASSERT_TRUE(start(with));
  registry_.receive();
  EXPECT_EQ(registry_.authorization(), "Bearer held");
}

TEST_F(RegistryClient, NobodyIsTappedWhenNoReplicaAnswersForLongerThanTheGrace) {
  auto replica = std::make_unique<FakeRegistry>(leaf(), "127.0.0.1");
  ClientConfig with = config();
  with.registry.port = replica->port();
  ASSERT_TRUE(start(with));
  replica->receive();
  replica->send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  replica.reset();
  EXPECT_TRUE(wait_for_peers({}));
  EXPECT_THAT(metrics_.text(), HasSubstr("sidetap_registry_alone_total 1"));
}

TEST_F(RegistryClient, OutlivesARestartOfTheRegistryWithinTheGrace) {
  auto replica = std::make_unique<FakeRegistry>(leaf(), "127.0.0.1");
  const auto port = replica->port();
  ClientConfig with = config();
  with.registry.port = port;
  with.grace = std::chrono::hours(1);
  ASSERT_TRUE(start(with));
  replica->receive();
  replica->send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  replica.reset();
  ASSERT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"connect\"}"));
  FakeRegistry again(leaf(), "127.0.0.1", port);
  again.receive();
  again.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.9"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.9")}));
}

TEST_F(RegistryClient, ConnectsToEveryAddressOfTheNameAndTakesTheUnion) {
  auto other = std::make_unique<FakeRegistry>(leaf(), "127.0.0.2");
  replicas_ = {{asio::ip::make_address("127.0.0.1"), registry_.port()},
               {asio::ip::make_address("127.0.0.2"), other->port()}};
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(registry_.receive());
  EXPECT_TRUE(other->receive());
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.4"]})");
  other->send(R"({"type":"snapshot","version":1,"taps":["10.0.0.6"]})");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.4"), ip("10.0.0.6")}));
  other.reset();
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.4")})) << "what it said ends with its connection";
}

TEST_F(RegistryClient, FollowsTheNameToAnotherAddress) {
  FakeRegistry other(leaf(), "127.0.0.2");
  replicas_ = {{asio::ip::make_address("127.0.0.1"), registry_.port()}};
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(registry_.receive());
  on_thread([&] { replicas_ = {{asio::ip::make_address("127.0.0.2"), other.port()}}; });
  EXPECT_TRUE(other.receive());
  registry_.cut();
  EXPECT_TRUE(registry_.silent_for(std::chrono::milliseconds(300))) << "that address is no more";
}

TEST_F(RegistryClient, KeepsTryingWhenItIsRefused) {
  registry_.decline(401);
  ASSERT_TRUE(start(config()));
  EXPECT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"refused\"} 2"));
  registry_.decline(0);
  EXPECT_TRUE(registry_.receive());
  registry_.send(R"({"type":"refused","reason":"not your address"})");
  EXPECT_TRUE(registry_.receive()) << "dialled again";
}

TEST_F(RegistryClient, GarbageEndsTheConnectionAndNotTheClient) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  registry_.send("garbage");
  EXPECT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"malformed\"} 1"));
  EXPECT_TRUE(registry_.receive());
}

TEST_F(RegistryClient, ItsConnectionIsExcludedFromTheCapture) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  const std::lock_guard lock(mutex_);
  ASSERT_TRUE(excluded_);
  EXPECT_EQ(excluded_->remote_port, registry_.port());
  EXPECT_NE(excluded_->local_port, 0);
}

TEST_F(RegistryClient, ATapThatIsNewlyListedDoesNotCountAtOnce) {
  ClientConfig with = config();
  with.settling = std::chrono::hours(1);
  ASSERT_TRUE(start(with));
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"services":["10.96.0.1"]})");
  EXPECT_TRUE(wait_for_peers({}, Addresses{})) << "nor do Services that have tapped backends only";
}

TEST_F(RegistryClient, AReplicaThatSendsOneMessageSlowlyIsNotSilent) {
  SlowWay way(registry_.port());
  ClientConfig with = config();
  with.registry.port = way.port();
  with.silence = std::chrono::milliseconds(3'000);
  ASSERT_TRUE(start(with));
  registry_.receive();
  way.slow_down();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.0.0.2"],"x":")" +
                 std::string(5'000, 'x') + "\"}");
  EXPECT_TRUE(wait_for_peers({ip("10.0.0.2")}));
  EXPECT_THAT(metrics_.text(), testing::Not(HasSubstr("sidetap_registry_failures_total")));
}

}  // namespace
}  // namespace sidetap::registry
