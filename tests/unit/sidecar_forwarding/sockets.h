// Connected pairs of sockets on loopback.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"

namespace sidetap::forwarding {

struct Pair {
  net::UniqueFd tap;  ///< Non-blocking, connected.
  net::UniqueFd sensor;
};

inline sockaddr_in bind_loopback(int descriptor) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
  return address;
}

inline void connect_to(int descriptor, const sockaddr_in& address) {
  ASSERT_EQ(connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

inline Pair udp_pair() {
  Pair pair{net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
            net::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))};
  connect_to(pair.tap.get(), bind_loopback(pair.sensor.get()));
  return pair;
}

inline Pair tcp_pair() {
  const net::UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = bind_loopback(listener.get());
  EXPECT_EQ(listen(listener.get(), 1), 0);
  Pair pair{net::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), net::UniqueFd()};
  connect_to(pair.tap.get(), address);
  pair.sensor.reset(accept(listener.get(), nullptr, nullptr));
  return pair;
}

/// Unix datagrams: unlike on loopback, what the sensor has not read fills the tap's socket.
inline Pair stalling_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const int bytes = 100'000;  // more than the largest piece, which may be one datagram here
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  return {net::UniqueFd(ends[0]), net::UniqueFd(ends[1])};
}

/// What has arrived.
inline std::vector<std::vector<std::byte>> receive_now(int descriptor) {
  std::vector<std::vector<std::byte>> got;
  for (;;) {
    std::vector<std::byte> buffer(70'000);
    const auto size = recv(descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) return got;
    buffer.resize(static_cast<std::size_t>(size));
    got.push_back(std::move(buffer));
  }
}

/// Everything that arrives until nothing has for a while; datagrams one by one.
inline std::vector<std::vector<std::byte>> receive_all(int descriptor) {
  std::vector<std::vector<std::byte>> got;
  pollfd ready{descriptor, POLLIN, 0};
  while (poll(&ready, 1, 100) > 0) {
    std::vector<std::byte> buffer(70'000);
    const auto size = recv(descriptor, buffer.data(), buffer.size(), 0);
    if (size <= 0) break;
    buffer.resize(static_cast<std::size_t>(size));
    got.push_back(std::move(buffer));
  }
  return got;
}

}  // namespace sidetap::forwarding
