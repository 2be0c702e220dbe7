// A way to a server on the loopback that becomes slow when told: the bytes pass as they are.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <poll.h>
#include <sys/socket.h>

namespace sidetap::registry {

/// For one connection, on a thread of its own. The end of either side, and that of the way, ends
/// it.
class SlowWay {
 public:
  explicit SlowWay(std::uint16_t server_port) : server_port_(server_port) {
    thread_ = std::thread([this] { run(); });
  }
  ~SlowWay() {
    ended_ = true;
    thread_.join();
  }
  SlowWay(const SlowWay&) = delete;
  SlowWay& operator=(const SlowWay&) = delete;

  std::uint16_t port() const { return port_; }
  /// From now on the client gets 1,000 bytes a second.
  void slow_down() { slow_ = true; }

 private:
  using tcp = boost::asio::ip::tcp;

  void run() {
    const auto loopback = boost::asio::ip::address_v4::loopback();
    if (!readable(acceptor_.native_handle())) return;
    boost::system::error_code error;
    tcp::socket client(context_), server(context_);
    acceptor_.accept(client, error);
    if (!error) server.connect({loopback, server_port_}, error);
    if (error) return;
    client.set_option(tcp::no_delay(true), error);
    server.set_option(tcp::no_delay(true), error);
    const int down = server.native_handle(), up = client.native_handle();
    while (!ended_) {
      std::array<pollfd, 2> sides{{{up, POLLIN, 0}, {down, POLLIN, 0}}};
      if (::poll(sides.data(), sides.size(), kLookMs) <= 0) continue;
      if (sides[0].revents != 0 && !pass(up, down, false)) return;
      if (sides[1].revents != 0 && !pass(down, up, slow_)) return;
    }
  }
  /// False: the way ended before.
  bool readable(int socket) const {
    while (!ended_) {
      pollfd one{socket, POLLIN, 0};
      if (::poll(&one, 1, kLookMs) > 0) return true;
    }
    return false;
  }
  static bool pass(int from, int to, bool slowly) {
    constexpr std::size_t kSlowBytes = 200;
    std::array<char, 4096> bytes{};
    const ssize_t size = ::recv(from, bytes.data(), slowly ? kSlowBytes : bytes.size(), 0);
    if (slowly) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return size > 0 &&
           ::send(to, bytes.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
  }

  static constexpr int kLookMs = 20;
  const std::uint16_t server_port_;
  boost::asio::io_context context_;
  tcp::acceptor acceptor_{context_, {boost::asio::ip::address_v4::loopback(), 0}};
  const std::uint16_t port_ = acceptor_.local_endpoint().port();
  std::atomic<bool> slow_{false};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace sidetap::registry
