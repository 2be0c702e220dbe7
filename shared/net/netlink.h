// Queries the kernel over netlink(7) and reads the answers, including the attributes of
// rtnetlink(7). Netlink's own numbers are in host byte order, addresses in network order. Lengths
// are checked: an item that does not fit ends the list.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "shared/result.h"

namespace sidetap::net {

/// Reads a kernel structure from the start of `bytes`; all zeros if `bytes` is too short.
template <class Value>
Value read_kernel_value(std::span<const std::byte> bytes) {
  Value value{};
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// The bytes after a header of type `Header`, with netlink's alignment.
template <class Header>
std::span<const std::byte> after(std::span<const std::byte> bytes) {
  return bytes.subspan(std::min<std::size_t>(NLMSG_ALIGN(sizeof(Header)), bytes.size()));
}

/// Calls `visit(type, value)` for each attribute.
template <class Visit>
void for_each_attribute(std::span<const std::byte> bytes, Visit visit) {
  while (bytes.size() >= sizeof(rtattr)) {
    const auto attribute = read_kernel_value<rtattr>(bytes);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > bytes.size()) return;
    visit(attribute.rta_type, bytes.first(attribute.rta_len).subspan(sizeof attribute));
    bytes = bytes.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), bytes.size()));
  }
}

/// Sends `request`, which begins with its nlmsghdr, and calls `visit(type, payload)` for each
/// message of the answer, up to NLMSG_DONE. Blocks. Errors: those of the system calls, or the
/// kernel's answer.
template <class Visit>
Result<void> dump(int descriptor, std::span<const std::byte> request, Visit visit) {
  const auto failed = [](const char* what, int error) {
    return Error{std::string(what) + ": " + std::strerror(error)};
  };
  const auto sequence = read_kernel_value<nlmsghdr>(request).nlmsg_seq;
  if (::send(descriptor, request.data(), request.size(), 0) < 0) return failed("send", errno);
  std::array<std::byte, 32768> buffer;
  for (;;) {
    const ssize_t got = ::recv(descriptor, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("recv", errno);
    std::span<const std::byte> rest(buffer.data(), static_cast<std::size_t>(got));
    while (rest.size() >= sizeof(nlmsghdr)) {
      const auto header = read_kernel_value<nlmsghdr>(rest);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) break;
      const auto payload = rest.first(header.nlmsg_len).subspan(sizeof header);
      if (header.nlmsg_seq == sequence) {
        if (header.nlmsg_type == NLMSG_DONE) return {};
        if (header.nlmsg_type == NLMSG_ERROR)
          return failed("the kernel answered", -read_kernel_value<nlmsgerr>(payload).error);
        visit(header.nlmsg_type, payload);
      }
      rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
  }
}

}  // namespace sidetap::net
