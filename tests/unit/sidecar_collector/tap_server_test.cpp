// Taps that a test plays itself, against the server, the receiver and their two threads.
#include "sidecar/collector/tap_server.h"

#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/unit/sidecar_collector/tap_server_fixture.h"

namespace sidetap::collector {
namespace {

TapServerConfig with_streams() {
  TapServerConfig config;
  config.protocol.datagram = false;
  return config;
}

TEST_F(TapServerTest, TakesTheDatagramsOfATap) {
  start({});
  Wire wire = dial();
  until_open(wire);
  const std::uint16_t port = data_port_of(wire.receive());
  ASSERT_EQ(port, server_->data_port());
  confirm(wire);
  const LocalSocket data(SOCK_DGRAM);
  send_datagrams(data, port, packed_datagrams(1, 50, 100));
  EXPECT_TRUE(soon([&] { return handler_.packets == 50; })) << handler_.packets;
  EXPECT_TRUE(has_metric("sidetap_collector_taps{state=\"capturing\"} 1"));
  const auto standing = taps();
  ASSERT_EQ(standing.size(), 1U);
  ASSERT_NE(standing[0].identity, nullptr);
  EXPECT_EQ(standing[0].identity->description, "shop/cart");
  // What it has sent before it closes counts.
  send_datagrams(data, port, {packet_message(51, 100)});
  wire.send(rpcap::encode_empty(MessageType::kClose));
  EXPECT_TRUE(soon([&] { return taps().empty(); }));
  EXPECT_EQ(handler_.packets, 51U);
  EXPECT_TRUE(has_metric("sidetap_collector_tap_ends_total{kind=\"closed\"} 1"));
}

TEST_F(TapServerTest, TakesTheStreamOfATap) {
  start(with_streams());
  Wire wire = dial();
  until_open(wire);
  const net::UniqueFd stream = open_stream(data_port_of(wire.receive()));
  confirm(wire);
  send_packets(stream, 200);
  EXPECT_TRUE(soon([&] { return handler_.packets == 200; })) << handler_.packets;
}

TEST_F(TapServerTest, TwoTapsOfOneAddressOpenTheirStreamsOneAfterTheOther) {
  start(with_streams());
  Wire first = dial();
  until_open(first);
  const std::uint16_t port = data_port_of(first.receive());
  ASSERT_NE(port, 0);
  Wire second = dial();
  until_open(second);
  pollfd asked{second.get(), POLLIN, 0};
  EXPECT_EQ(poll(&asked, 1, 200), 0) << "it is not its turn";
  const net::UniqueFd stream = open_stream(port);
  confirm(first);
  EXPECT_EQ(data_port_of(second.receive()), port);
  const net::UniqueFd other = open_stream(port);
  confirm(second);
  send_packets(stream, 5);
  send_packets(other, 7);
  EXPECT_TRUE(soon([&] { return handler_.packets == 12; }));
  const auto count_of = [&](std::uint32_t origin) {
    return asio::co_spawn(context_, ways_->received_from(origin), asio::use_future)
        .get()
        .counts.packets;
  };
  EXPECT_EQ(count_of(1), 5U);
  EXPECT_EQ(count_of(2), 7U);
}

TEST_F(TapServerTest, ATapThatOpensNoStreamIsLeft) {
  start(with_streams());
  Wire wire = dial();
  until_open(wire);
  ASSERT_NE(data_port_of(wire.receive()), 0);
  wire.send(rpcap::encode_error(rpcap::ErrorCode::kStartCapture, "no route"));
  session::expect_type(wire.receive(), MessageType::kClose);
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(has_metric("sidetap_collector_tap_ends_total{kind=\"refused\"} 1"));
}

TEST_F(TapServerTest, StopsEveryTapInGoodOrder) {
  start({});
  Wire wire = dial();
  until_open(wire);
  const std::uint16_t port = data_port_of(wire.receive());
  confirm(wire);
  ASSERT_TRUE(has_metric("sidetap_collector_taps{state=\"capturing\"} 1"));
  auto stopped = asio::co_spawn(context_, server_->stop(), asio::use_future);
  answer(wire, MessageType::kStatsRequest, rpcap::encode_stats({3, 0, 0, 3}));
  session::expect_type(wire.receive(), MessageType::kEndCaptureRequest);
  // The last ones, which a tap sends before it answers.
  const LocalSocket data(SOCK_DGRAM);
  send_datagrams(data, port, packed_datagrams(1, 3, 100));
  wire.send(rpcap::encode_empty(MessageType::kEndCaptureReply));
  session::expect_type(wire.receive(), MessageType::kClose);
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(handler_.packets, 3U);
  stopped_ = true;
}

TEST_F(TapServerTest, DoesNotWaitAtItsEndForPeersThatAreSilentInTheHandshake) {
  const auto leaf = testing_support::make_leaf(testing_support::make_ca("taps"), {"IP:127.0.0.1"});
  http::TlsStore store;
  ASSERT_TRUE(store.replace({leaf.certificate, leaf.key}));
  tls_ = &store;
  start({});
  const Wire silent = dial();
  ASSERT_TRUE(soon([&] { return taps().size() == 1; }));
  stop();
  EXPECT_TRUE(has_metric("sidetap_collector_tap_ends_total{kind=\"stopped\"} 1"));
}

TEST_F(TapServerTest, ServesABoundedNumberOfTapsOfOneAddress) {
  TapServerConfig config;
  config.most_of_one_address = 2;
  start(std::move(config));
  Wire first = dial();
  Wire second = dial();
  session::expect_type(first.receive(), MessageType::kAuthRequest);
  session::expect_type(second.receive(), MessageType::kAuthRequest);
  Wire third = dial();
  EXPECT_FALSE(third.receive());
  EXPECT_TRUE(has_metric("sidetap_collector_taps_refused_total{reason=\"sessions-of-address\"} 1"));
  first.close();
  EXPECT_TRUE(soon([&] { return taps().size() == 1; }));
  Wire fourth = dial();
  session::expect_type(fourth.receive(), MessageType::kAuthRequest);
}

TEST_F(TapServerTest, ServesOnlyAddressesThatMayConnect) {
  TapServerConfig config;
  config.allow = {*net::Cidr::parse("10.0.0.0/8")};
  start(std::move(config));
  Wire wire = dial();
  EXPECT_FALSE(wire.receive());
  EXPECT_TRUE(has_metric("sidetap_collector_taps_refused_total{reason=\"address\"} 1"));
}

TEST_F(TapServerTest, AMessageThatComesByteByByteIsNotAwaitedForEver) {
  TapServerConfig config;
  config.message_timeout = milliseconds(300);
  start(std::move(config));
  Wire wire = dial();
  session::expect_type(wire.receive(), MessageType::kAuthRequest);
  rpcap::Bytes reply(rpcap::kHeaderSize + 1'000);
  rpcap::encode_header(
      {.version = 0, .type = MessageType::kAuthReply, .value = 0, .payload_size = 1'000},
      std::span<std::byte, 8>(reply.data(), 8));
  wire.send({reply.begin(), reply.begin() + 8});
  EXPECT_TRUE(soon([&] {
    wire.send({std::byte{0}});
    return metrics_.text().find("kind=\"timeout\"} 1") != std::string::npos;
  }));
}

}  // namespace
}  // namespace sidetap::collector
