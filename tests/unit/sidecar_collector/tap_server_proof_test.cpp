// Which taps a server takes when a registry proves their pods, and how it ends.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/sidecar_collector/tap_server_fixture.h"

namespace sidetap::collector {
namespace {

/// The tests' taps say that they are shop/cart, and dial from 127.0.0.1.
std::string proved_line(const std::string& address, const std::string& pod) {
  return R"({"ip":[")" + address + R"(","10.244.1.9"],"namespace":"shop","pod":")" + pod +
         R"(","uid":"u1","node":"n1","from":"2026-01-02T03:04:05.678Z","to":null})";
}

TEST_F(TapServerTest, TakesATapThatIsProvedAndKnowsItByTheRegistrysWord) {
  prove({proved_line("127.0.0.1", "cart")});
  start({});
  Wire wire = dial();
  until_open(wire);
  EXPECT_NE(data_port_of(wire.receive()), 0);
  const auto standing = taps();
  ASSERT_EQ(standing.size(), 1U);
  const auto& identity = standing[0].identity;
  ASSERT_NE(identity, nullptr);
  EXPECT_TRUE(identity->proved);
  EXPECT_EQ(identity->node, "n1");
  EXPECT_EQ(identity->addresses, (std::vector{ip("127.0.0.1"), ip("10.244.1.9")}))
      << "not what the tap says";
  EXPECT_TRUE(has_metric("sidetap_collector_taps_admitted_total{proof=\"registry\"} 1"));
}

TEST_F(TapServerTest, RefusesATapFromAnAddressThatIsNotItsPods) {
  prove({proved_line("10.244.1.7", "cart")}, {.patience = milliseconds(100)});
  start({});
  Wire wire = dial();
  until_named(wire);
  session::expect_type(wire.receive(), MessageType::kClose);
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(has_metric("sidetap_collector_taps_refused_total{reason=\"other-address\"} 1"));
  EXPECT_TRUE(has_metric("sidetap_collector_tap_ends_total{kind=\"unproved\"} 1"));
}

TEST_F(TapServerTest, KeepsATapWaitingUntilItsPodIsListed) {
  prove({});
  start({});
  Wire wire = dial();
  until_named(wire);
  pollfd asked{wire.get(), POLLIN, 0};
  EXPECT_EQ(poll(&asked, 1, 200), 0);
  tell(proved_line("127.0.0.1", "web"));
  EXPECT_EQ(poll(&asked, 1, 100), 0) << "another pod";
  tell(proved_line("127.0.0.1", "cart"));
  session::expect_type(wire.receive(), MessageType::kOpenRequest);
}

TEST_F(TapServerTest, StopsATapThatWaitsForItsProof) {
  prove({});
  start({});
  Wire wire = dial();
  until_named(wire);
  ASSERT_TRUE(soon([&] { return taps().size() == 1; }));
  stop();
  EXPECT_TRUE(taps().empty());
}

TEST_F(TapServerTest, DrainsUntilTheLastTapHasLeft) {
  start({});
  Wire wire = dial();
  until_open(wire);
  const std::uint16_t port = data_port_of(wire.receive());
  confirm(wire);
  ASSERT_TRUE(has_metric("sidetap_collector_taps{state=\"capturing\"} 1"));
  const std::uint16_t door = server_->port();
  asio::post(context_, asio::use_future([this] { server_->close(); })).get();
  auto drained =
      asio::co_spawn(context_, server_->drain(std::chrono::minutes(1)), asio::use_future);
  net::UniqueFd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = session::loopback(door);
  EXPECT_NE(::connect(late.get(), session::generic(to), sizeof to), 0) << "no new taps";
  const LocalSocket data(SOCK_DGRAM);
  send_datagrams(data, port, packed_datagrams(1, 3, 100));
  EXPECT_TRUE(soon([&] { return handler_.packets == 3; })) << "those that are there go on";
  EXPECT_EQ(drained.wait_for(milliseconds(0)), std::future_status::timeout);
  wire.send(rpcap::encode_empty(MessageType::kClose));
  EXPECT_EQ(drained.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(TapServerTest, DrainsNoLongerThanItIsWanted) {
  start({});
  Wire wire = dial();
  until_open(wire);
  ASSERT_TRUE(soon([&] { return taps().size() == 1; }));
  auto drained =
      asio::co_spawn(context_, server_->drain(std::chrono::minutes(1)), asio::use_future);
  EXPECT_EQ(drained.wait_for(milliseconds(50)), std::future_status::timeout);
  asio::post(context_, asio::use_future([this] { server_->end_drain(); })).get();
  EXPECT_EQ(drained.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  auto again = asio::co_spawn(context_, server_->drain(std::chrono::minutes(1)), asio::use_future);
  EXPECT_EQ(again.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace sidetap::collector
