// Who gets a capture stream, and what the tap is told of it.
#include "sidecar/delivery/stream_delivery.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "shared/async/task_group.h"
#include "shared/net/unique_fd.h"
#include "shared/telemetry/metrics.h"
#include "tests/unit/sidecar_delivery/idle_loop.h"
#include "tests/unit/sidecar_session/fake_sensor.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

class StreamDeliveryTest : public testing::Test {
 protected:
  ~StreamDeliveryTest() override {
    context_.restart();
    if (delivery_) async::run_to_end(context_, delivery_->stop());
  }

  void start(StreamOptions options, bool everything_is_own = false) {
    StreamParts parts{.heading = {.interfaces = {forwarding::InterfaceLabel{}}},
                      .exclude =
                          [this](const std::string& owner, const auto& endpoints) {
                            excluded_[owner] = endpoints.size();
                            return std::chrono::milliseconds(0);
                          },
                      .metrics = &metrics_,
                      .backoff = backoff_};
    if (everything_is_own) parts.is_own_address = [](const net::IpAddress&) { return true; };
    delivery_ = std::make_unique<StreamDelivery>(context_.get_executor(), std::move(options),
                                                 std::move(parts), *loop_, 0);
    ASSERT_TRUE(delivery_->start());
  }
  bool comes_true(const std::function<bool()>& what) { return sidetap::comes_true(context_, what); }
  bool counts(const std::string& line) {
    return comes_true([&] { return metrics_.text().find(line) != std::string::npos; });
  }
  bool forwards() {
    return comes_true([&] { return delivery_->forwarding(); });
  }
  bool stops_to_forward() {
    return comes_true([&] { return !delivery_->forwarding(); });
  }

  boost::asio::io_context context_{1};
  telemetry::MetricsRegistry metrics_;
  async::BackoffBounds backoff_{std::chrono::milliseconds(100), std::chrono::milliseconds(200)};
  std::map<std::string, std::size_t> excluded_;
  std::unique_ptr<CaptureLoop> loop_ = make_idle_loop();
  std::unique_ptr<StreamDelivery> delivery_;
};

std::uint16_t unused_port() { return session::LocalSocket(SOCK_STREAM).port(); }

net::UniqueFd reader_at(std::uint16_t port) {
  net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

TEST_F(StreamDeliveryTest, ForwardsWhileAReaderIsConnected) {
  const std::uint16_t port = unused_port();
  start({.listen = net::HostPort{"127.0.0.1", port}, .most_readers = 1});
  EXPECT_EQ(excluded_["pcap-listen"], 1U);
  EXPECT_FALSE(delivery_->forwarding());
  ASSERT_EQ(delivery_->sensors().size(), 1U);
  EXPECT_EQ(delivery_->sensors().front().state, "waiting");

  net::UniqueFd reader = reader_at(port);
  EXPECT_TRUE(forwards());
  EXPECT_EQ(delivery_->sensors().front().state, "capturing");
  EXPECT_TRUE(counts("sidetap_pcap_readers 1"));
  const net::UniqueFd another = reader_at(port);
  EXPECT_TRUE(counts("sidetap_pcap_readers_refused_total{reason=\"readers\"} 1"));

  reader.reset();
  EXPECT_TRUE(stops_to_forward());
  EXPECT_TRUE(counts("sidetap_pcap_reader_ends_total{cause=\"closed\"} 1"));
  EXPECT_TRUE(counts("sidetap_pcap_readers 0"));
}

TEST_F(StreamDeliveryTest, RefusesWhoMayNotConnect) {
  const std::uint16_t port = unused_port();
  start({.listen = net::HostPort{"127.0.0.1", port},
         .allow = {net::Cidr::parse("10.0.0.0/8").value()}});
  const net::UniqueFd stranger = reader_at(port);
  EXPECT_TRUE(counts("sidetap_pcap_readers_refused_total{reason=\"address\"} 1"));
  EXPECT_FALSE(delivery_->forwarding());
}

TEST_F(StreamDeliveryTest, DialsAgainWhenAReceiverHasGone) {
  const session::LocalSocket receiver(SOCK_STREAM);
  start({.receivers = {net::HostPort{"127.0.0.1", receiver.port()}}});
  EXPECT_TRUE(forwards());
  receiver.accept().reset();
  EXPECT_TRUE(stops_to_forward());
  EXPECT_TRUE(counts("sidetap_pcap_reader_ends_total{cause=\"closed\"} 1"));
  EXPECT_TRUE(forwards());
  const net::UniqueFd again = receiver.accept();
  const std::string owner = "pcap 127.0.0.1:" + std::to_string(receiver.port());
  EXPECT_EQ(excluded_[owner], 2U) << "the former connection's last segments may be in flight";
  delivery_->forget_connections();
  EXPECT_EQ(excluded_[owner], 0U);
}

TEST_F(StreamDeliveryTest, OneReceiverUnderTwoNamesGetsEveryPacketOnce) {
  const session::LocalSocket receiver(SOCK_STREAM);
  start({.receivers = {net::HostPort{"127.0.0.1", receiver.port()},
                       net::HostPort{"::ffff:127.0.0.1", receiver.port()}}});
  EXPECT_TRUE(forwards());
  const net::UniqueFd connection = receiver.accept();
  unsigned capturing = 0;
  std::string reason;
  for (const registry::SensorReport& each : delivery_->sensors()) {
    capturing += each.state == "capturing" ? 1U : 0U;
    reason += each.reason;
  }
  EXPECT_EQ(capturing, 1U);
  EXPECT_THAT(reason, HasSubstr("is the address of another receiver"));
  EXPECT_FALSE(receiver.readable(0));
}

TEST_F(StreamDeliveryTest, DialsAtOnceWhenTheTapIsAboutToEnd) {
  const std::uint16_t port = unused_port();
  backoff_ = {std::chrono::hours(1), std::chrono::hours(1)};
  start({.receivers = {net::HostPort{"127.0.0.1", port}}});
  ASSERT_TRUE(comes_true([&] { return !delivery_->sensors().front().reason.empty(); }));
  const session::LocalSocket receiver(SOCK_STREAM, port);
  delivery_->dial_soon();
  EXPECT_TRUE(forwards());
}

TEST_F(StreamDeliveryTest, DoesNotDialItsOwnPod) {
  const session::LocalSocket receiver(SOCK_STREAM);
  start({.receivers = {net::HostPort{"127.0.0.1", receiver.port()}}}, true);
  EXPECT_TRUE(comes_true([&] { return !delivery_->sensors().front().reason.empty(); }));
  EXPECT_THAT(delivery_->sensors().front().reason, HasSubstr("is an address of this pod"));
  EXPECT_FALSE(receiver.readable(0));
}

}  // namespace
}  // namespace sidetap
