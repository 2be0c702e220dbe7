#include "sidecar/capture/link_facts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"

namespace sidetap::capture {
namespace {

struct Request {
  nlmsghdr header;
  ifinfomsg link;
};

// IFLA_GSO_IPV4_MAX_SIZE and IFLA_GRO_IPV4_MAX_SIZE, which older kernels' headers do not have.
constexpr unsigned kGsoIpv4MaxSize = 63;
constexpr unsigned kGroIpv4MaxSize = 64;

constexpr std::size_t kHeader = NLMSG_ALIGN(sizeof(nlmsghdr));
constexpr std::size_t kAttributes = kHeader + NLMSG_ALIGN(sizeof(ifinfomsg));

template <class Value>
Value copy_from(std::span<const std::byte> bytes, std::size_t offset) {
  Value value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

LinkFacts read_answer(std::span<const std::byte> answer) {
  LinkFacts facts;
  const auto link = copy_from<ifinfomsg>(answer, kHeader);
  facts.index = link.ifi_index;
  facts.hardware_type = link.ifi_type;
  std::size_t at = kAttributes;
  while (at + sizeof(rtattr) <= answer.size()) {
    const auto attribute = copy_from<rtattr>(answer, at);
    const std::size_t value = at + RTA_ALIGN(sizeof(rtattr));
    if (attribute.rta_len < sizeof(rtattr) || at + attribute.rta_len > answer.size()) break;
    const bool size =
        attribute.rta_type == IFLA_GSO_MAX_SIZE || attribute.rta_type == IFLA_GRO_MAX_SIZE ||
        attribute.rta_type == kGsoIpv4MaxSize || attribute.rta_type == kGroIpv4MaxSize;
    if (size && value + sizeof(std::uint32_t) <= answer.size())
      facts.longest_packet =
          std::max(facts.longest_packet, copy_from<std::uint32_t>(answer, value));
    at += RTA_ALIGN(attribute.rta_len);
  }
  return facts;
}

}  // namespace

Result<LinkFacts> read_link_facts(const std::string& name) {
  const unsigned index = if_nametoindex(name.c_str());
  if (index == 0) return Error{name + ": " + std::strerror(errno)};
  const net::UniqueFd socket_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = static_cast<int>(index);
  std::array<std::byte, 16'384> buffer;
  if (send(socket_fd.get(), &request, sizeof request, 0) < 0)
    return Error{name + ": rtnetlink: " + std::strerror(errno)};
  const ssize_t got = recv(socket_fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) return Error{name + ": rtnetlink: " + std::strerror(errno)};
  const auto answer = std::span<const std::byte>(buffer).first(static_cast<std::size_t>(got));
  if (answer.size() < kAttributes || copy_from<nlmsghdr>(answer, 0).nlmsg_type != RTM_NEWLINK)
    return Error{name + ": rtnetlink gives no link"};
  return read_answer(answer);
}

}  // namespace sidetap::capture
