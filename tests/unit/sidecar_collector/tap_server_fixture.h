// A server with its receiver and their two threads, and taps that a test plays itself.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "shared/telemetry/metrics.h"
#include "sidecar/collector/datagram_port.h"
#include "sidecar/collector/tap_proof.h"
#include "sidecar/collector/tap_server.h"
#include "sidecar/path/command_queue.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_collector/packed_packets.h"
#include "tests/unit/sidecar_session/fake_sensor.h"

namespace sidetap::collector {

namespace asio = boost::asio;
using rpcap::MessageType;
using session::LocalSocket;
using session::Wire;
using std::chrono::milliseconds;

/// Counts what the packet thread has got.
class Counting final : public capture::PacketHandler {
 public:
  void on_packet(const capture::CapturedPacket&) override { ++packets; }
  std::atomic<unsigned> packets{0};
};

class TapServerTest : public testing::Test {
 protected:
  ~TapServerTest() override {
    stop();
    ending_ = true;
    if (packets_.joinable()) packets_.join();
    guard_.reset();
    context_.stop();
    if (control_.joinable()) control_.join();
  }

  /// A registry that has proved these pods, one for each line, and tells more later.
  void prove(const std::vector<std::string>& lines, ProofConfig config = {}) {
    proof_ = std::make_unique<TapProof>(config);
    proof_->begin_list();
    for (const std::string& line : lines) EXPECT_TRUE(proof_->take(line));
    EXPECT_TRUE(proof_->take(R"({"position":"1-1"})"));
  }
  void tell(const std::string& line) {
    asio::post(context_, asio::use_future([this, line] { EXPECT_TRUE(proof_->take(line)); })).get();
  }

  void start(TapServerConfig config) {
    auto port = open_datagram_port({"127.0.0.1", 0}, 1U << 20);
    ASSERT_TRUE(port);
    if (config.protocol.datagram) {
      sockaddr_in bound{};
      socklen_t size = sizeof bound;
      getsockname(port->get(), reinterpret_cast<sockaddr*>(&bound), &size);
      config.data_port = ntohs(bound.sin_port);
    } else {
      config.data_port = 0;
    }
    std::vector<net::UniqueFd> ports;
    ports.push_back(std::move(*port));
    receiver_ = std::make_shared<TapReceiver>(ReceiverConfig(), std::move(ports));
    ways_ = std::make_unique<DataWays>(
        context_.get_executor(), receiver_,
        [this](auto command, auto done) { commands_.post(std::move(command), std::move(done)); });
    config.listen = {"127.0.0.1", 0};
    server_ = std::make_unique<TapServer>(context_.get_executor(), std::move(config), *ways_,
                                          identities_, tls_, &metrics_, proof_.get());
    ASSERT_TRUE(server_->start());
    commands_.open();
    control_ = std::thread([this] { context_.run(); });
    packets_ = std::thread([this] {
      while (!ending_) {
        if (commands_.due()) commands_.run();
        if (receiver_->read(handler_, 256) != 0) continue;
        pollfd ready[] = {{commands_.descriptor(), POLLIN, 0},
                          {receiver_->descriptor(), POLLIN, 0}};
        poll(ready, 2, 20);
      }
    });
  }
  void stop() {
    if (!control_.joinable() || std::exchange(stopped_, true)) return;
    EXPECT_EQ(asio::co_spawn(context_, server_->stop(), asio::use_future)
                  .wait_for(std::chrono::seconds(20)),
              std::future_status::ready);
  }
  std::vector<TapStanding> taps() {
    return asio::post(context_, asio::use_future([this] { return server_->taps(); })).get();
  }
  template <typename Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  bool has_metric(const std::string& line) {
    return soon([&] { return metrics_.text().find(line) != std::string::npos; });
  }

  Wire dial() const {
    net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = session::loopback(server_->port());
    EXPECT_EQ(::connect(fd.get(), session::generic(to), sizeof to), 0);
    return Wire(std::move(fd));
  }
  static void answer(Wire& wire, MessageType request, const rpcap::Bytes& reply) {
    session::expect_type(wire.receive(), request);
    wire.send(reply);
  }
  static void until_named(Wire& wire) {
    answer(wire, MessageType::kAuthRequest, rpcap::encode_empty(MessageType::kAuthReply));
    const rpcap::Interface eth0{.name = "eth0",
                                .description = "shop/cart",
                                .flags = 0,
                                .addresses = {{ip("10.244.1.7"), {}, {}, {}}}};
    answer(wire, MessageType::kFindAllInterfacesRequest,
           rpcap::encode_interfaces({&eth0, 1}, rpcap::Ipv6Family::kLinux));
  }
  static void until_open(Wire& wire) {
    until_named(wire);
    answer(wire, MessageType::kOpenRequest,
           rpcap::encode_open_reply({.link_type = 1, .time_zone_offset = 0}));
  }
  static std::uint16_t data_port_of(const std::optional<session::Message>& message) {
    if (!message || message->header.type != MessageType::kStartCaptureRequest) return 0;
    const auto request = rpcap::decode_start_request(message->payload);
    return request ? request->data_port : std::uint16_t{0};
  }
  static void confirm(Wire& wire) {
    wire.send(rpcap::encode_start_reply({.buffer_size = 1, .data_port = 0}));
  }
  /// Sends datagrams from 127.0.0.1.
  static void send_datagrams(const LocalSocket& from, std::uint16_t port,
                             const std::vector<PacketBytes>& datagrams) {
    const sockaddr_in to = session::loopback(port);
    for (const PacketBytes& bytes : datagrams)
      ::sendto(from.get(), bytes.data(), bytes.size(), 0, session::generic(to), sizeof to);
  }
  static net::UniqueFd open_stream(std::uint16_t port) {
    net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = session::loopback(port);
    EXPECT_EQ(::connect(fd.get(), session::generic(to), sizeof to), 0);
    return fd;
  }
  static void send_packets(const net::UniqueFd& stream, std::uint32_t count) {
    for (std::uint32_t i = 1; i <= count; ++i) {
      const PacketBytes message = packet_message(i, 100);
      EXPECT_EQ(::send(stream.get(), message.data(), message.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(message.size()));
    }
  }

  telemetry::MetricsRegistry metrics_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_ =
      asio::make_work_guard(context_);
  CommandQueue commands_{
      [this](CommandQueue::Task task) { asio::post(context_, std::move(task)); }};
  std::shared_ptr<forwarding::TapIdentities> identities_ =
      std::make_shared<forwarding::TapIdentities>();
  std::shared_ptr<TapReceiver> receiver_;
  std::unique_ptr<DataWays> ways_;
  std::unique_ptr<TapProof> proof_;
  http::TlsStore* tls_ = nullptr;
  std::unique_ptr<TapServer> server_;
  Counting handler_;
  std::thread control_;
  std::thread packets_;
  std::atomic<bool> ending_{false};
  bool stopped_ = false;
};

}  // namespace sidetap::collector
