#include "sidecar/capture/link_facts.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>

#include "shared/net/netlink.h"
#include "shared/net/unique_fd.h"

namespace sidetap::capture {
namespace {

struct Request {
  nlmsghdr header;
  ifinfomsg link;
  rtattr name_header;
  char name[IFNAMSIZ];
};

// IFLA_GSO_IPV4_MAX_SIZE and IFLA_GRO_IPV4_MAX_SIZE, which older kernels' headers do not have.
constexpr unsigned kGsoIpv4MaxSize = 63;
constexpr unsigned kGroIpv4MaxSize = 64;

constexpr std::size_t kHeader = NLMSG_ALIGN(sizeof(nlmsghdr));

LinkFacts read_answer(std::span<const std::byte> payload) {
  LinkFacts facts;
  const auto link = net::read_kernel_value<ifinfomsg>(payload);
  facts.index = link.ifi_index;
  facts.flags = link.ifi_flags;
  facts.hardware_type = link.ifi_type;
  net::for_each_attribute(
      net::after<ifinfomsg>(payload), [&](unsigned type, std::span<const std::byte> value) {
        if (type == IFLA_MTU) facts.mtu = net::read_kernel_value<std::uint32_t>(value);
        if (type == IFLA_LINK) facts.leads_to_another = true;
        if (type == IFLA_GSO_MAX_SIZE || type == IFLA_GRO_MAX_SIZE || type == kGsoIpv4MaxSize ||
            type == kGroIpv4MaxSize)
          facts.longest_packet =
              std::max(facts.longest_packet, net::read_kernel_value<std::uint32_t>(value));
      });
  return facts;
}

}  // namespace

Result<LinkFacts> read_link_facts(const std::string& name) {
  Request request{};
  if (name.empty() || name.size() >= sizeof request.name)
    return Error{name + ": " + std::strerror(ENODEV)};
  const net::UniqueFd socket_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_family = AF_UNSPEC;
  request.name_header.rta_len = RTA_LENGTH(sizeof request.name);
  request.name_header.rta_type = IFLA_IFNAME;
  name.copy(request.name, sizeof request.name - 1);
  std::array<std::byte, 16'384> buffer;
  if (send(socket_fd.get(), &request, sizeof request, 0) < 0)
    return Error{name + ": rtnetlink: " + std::strerror(errno)};
  const ssize_t got = recv(socket_fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) return Error{name + ": rtnetlink: " + std::strerror(errno)};
  const auto answer = std::span<const std::byte>(buffer).first(static_cast<std::size_t>(got));
  const auto type = net::read_kernel_value<nlmsghdr>(answer).nlmsg_type;
  if (type == NLMSG_ERROR && answer.size() >= kHeader + sizeof(nlmsgerr)) {
    const int code = net::read_kernel_value<nlmsgerr>(answer.subspan(kHeader)).error;
    return Error{name + ": " + std::strerror(-code)};
  }
  if (type != RTM_NEWLINK || answer.size() < kHeader + sizeof(ifinfomsg))
    return Error{name + ": rtnetlink returned no link"};
  return read_answer(answer.subspan(kHeader));
}

}  // namespace sidetap::capture
