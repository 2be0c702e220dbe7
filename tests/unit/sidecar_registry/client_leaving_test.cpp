// What a tap says when it ends, and how long it goes on for those that count on it.
#include <chrono>
#include <future>
#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "tests/unit/sidecar_registry/client_fixture.h"

namespace sidetap::registry {
namespace {

TEST_F(RegistryClient, LeavesBeforeItStops) {
  ASSERT_TRUE(start(config()));
  registry_.receive();
  forward();
  registry_.receive();
  registry_.send(R"({"type":"snapshot","version":1,"taps":["10.1.2.3","10.0.0.2"]})");
  ASSERT_TRUE(wait_for_peers({ip("10.0.0.2")})) << "the pod is no peer of its own";
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false}));
  EXPECT_EQ(left.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout)
      << "peers still count on this tap";
  registry_.send(R"({"type":"change","from":1,"version":2,"add":[],"remove":["10.1.2.3"]})");
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, ATapThatEndsLastSaysThatItsPodHasEnded) {
  ClientConfig with = config();
  with.ends_last = true;
  ASSERT_TRUE(start(with));
  EXPECT_EQ(registry_.receive(), hello(false));
  forward();
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, true}));
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false, true}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, ATapThatEndsLastSaysSoThoughItDidNotForward) {
  ClientConfig with = config();
  with.ends_last = true;
  ASSERT_TRUE(start(with));
  registry_.receive();
  forward();
  registry_.receive();
  on_thread([this] { client_->set_own({{ip("10.1.2.3")}, {}}); });
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false}));
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(registry_.receive(), encode(State{Addresses{ip("10.1.2.3")}, false, true}));
  registry_.send(R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(RegistryClient, GoesOnForAWhileWhenItIsListedNoMoreSinceOthersHearLater) {
  ClientConfig with = config();
  with.linger = std::chrono::hours(1);
  ASSERT_TRUE(start(with));
  registry_.receive();
  forward();
  registry_.receive();
  EXPECT_TRUE(goes_on_when_told_to_leave());
}

TEST_F(RegistryClient, GoesOnAsLongAsItMayWhenAReplicaThatMayListItDoesNotAnswer) {
  auto other = std::make_unique<FakeRegistry>(leaf(), "127.0.0.2");
  replicas_ = {{asio::ip::make_address("127.0.0.1"), registry_.port()},
               {asio::ip::make_address("127.0.0.2"), other->port()}};
  ASSERT_TRUE(start(config()));
  registry_.receive();
  other->receive();
  forward();
  registry_.receive();
  other.reset();
  ASSERT_TRUE(wait_for_metric("sidetap_registry_failures_total{kind=\"connect\"}"));
  EXPECT_TRUE(goes_on_when_told_to_leave());
}

TEST_F(RegistryClient, LeavesAtOnceWhenNobodyCountsOnIt) {
  registry_.decline(503);
  ASSERT_TRUE(start(config()));
  forward();
  auto left = asio::co_spawn(context_, client_->leave(std::chrono::hours(1)), asio::use_future);
  EXPECT_EQ(left.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace sidetap::registry
