#include "sidecar/system/address_watch.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace sidetap {
namespace {

constexpr std::chrono::milliseconds kPause{20};
// Used if the kernel cannot send notifications.
constexpr std::chrono::seconds kLookEvery{1};
// Messages per read; the rest makes the socket readable again at once.
constexpr int kMostMessages = 256;

Error failed(const char* what) {
  return {std::string("cannot watch the addresses: ") + what + ": " + std::strerror(errno)};
}

}  // namespace

AddressWatch::AddressWatch(boost::asio::any_io_executor executor, std::function<void()> changed)
    : socket_(executor), pause_(executor), changed_(std::move(changed)) {}

Result<void> AddressWatch::start() {
  auto listening = listen();
  listening ? wait() : look_each_second();
  return listening;
}

Result<void> AddressWatch::listen() {
  const int descriptor =
      ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (descriptor < 0) return failed("socket");
  socket_.assign(descriptor);
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0)
    return failed("bind");
  return {};
}

void AddressWatch::stop() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  pause_.cancel();
}

void AddressWatch::look_each_second() {
  pause_.expires_after(kLookEvery);
  pause_.async_wait([this](const boost::system::error_code& stopped) {
    if (stopped) return;
    changed_();
    look_each_second();
  });
}

void AddressWatch::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) {
                         if (socket_.is_open()) look_each_second();
                         return;
                       }
                       if (drain()) changed_();
                       pause_.expires_after(kPause);
                       pause_.async_wait([this](const boost::system::error_code& stopped) {
                         if (!stopped && socket_.is_open()) wait();
                       });
                     });
}

/// Reads the waiting messages. Returns whether any of them came from the kernel.
bool AddressWatch::drain() {
  bool told = false;
  std::array<std::byte, 4096> message;
  for (int i = 0; i < kMostMessages; ++i) {
    sockaddr_nl sender{};
    socklen_t size = sizeof sender;
    const ssize_t got = ::recvfrom(socket_.native_handle(), message.data(), message.size(), 0,
                                   reinterpret_cast<sockaddr*>(&sender), &size);
    if (got < 0 && errno == EINTR) continue;
    // The socket has overflowed, so something has changed.
    if (got < 0 && errno == ENOBUFS) told = true;
    if (got < 0 && errno != ENOBUFS) break;
    // Other programs in the pod can also send to this socket.
    if (got >= 0 && sender.nl_pid == 0) told = true;
  }
  return told;
}

}  // namespace sidetap
