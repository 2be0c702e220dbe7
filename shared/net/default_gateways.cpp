#include <algorithm>

#include <sys/socket.h>
#include <sys/time.h>

#include "shared/net/interfaces.h"
#include "shared/net/netlink.h"
#include "shared/net/unique_fd.h"

namespace sidetap::net {
namespace {

/// An address as the kernel sends it; unspecified if it is not an address.
IpAddress read_address(std::span<const std::byte> bytes) {
  if (bytes.size() == 4) return IpAddress::from_v4_bytes(bytes.first<4>());
  if (bytes.size() == 16) return IpAddress::from_v6_bytes(bytes.first<16>());
  return {};
}

void read_next_hops(std::span<const std::byte> attributes, std::vector<IpAddress>& into) {
  for_each_attribute(attributes, [&](unsigned type, std::span<const std::byte> value) {
    IpAddress hop;
    if (type == RTA_GATEWAY) hop = read_address(value);
    // The gateway has another family than the route: an IPv4 route through an IPv6 neighbour.
    constexpr std::size_t kFamily = sizeof(rtvia::rtvia_family);
    if (type == RTA_VIA && value.size() > kFamily) hop = read_address(value.subspan(kFamily));
    if (!hop.is_unspecified()) into.push_back(hop);
    if (type != RTA_MULTIPATH) return;
    while (value.size() >= sizeof(rtnexthop)) {
      const auto next = read_kernel_value<rtnexthop>(value);
      if (next.rtnh_len < sizeof next || next.rtnh_len > value.size()) return;
      read_next_hops(value.first(next.rtnh_len).subspan(sizeof next), into);
      value = value.subspan(std::min<std::size_t>(RTNH_ALIGN(next.rtnh_len), value.size()));
    }
  });
}

}  // namespace

std::vector<IpAddress> default_gateways() {
  std::vector<IpAddress> gateways;
  const UniqueFd descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const timeval patience{1, 0};
  ::setsockopt(descriptor.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    struct {
      nlmsghdr header;
      rtmsg route;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_GETROUTE;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_seq = family;
    request.route.rtm_family = family;
    // On an error, no gateway is known, and only the peers' addresses decide.
    (void)dump(descriptor.get(), std::as_bytes(std::span(&request, 1)),
               [&](unsigned type, std::span<const std::byte> payload) {
                 const auto route = read_kernel_value<rtmsg>(payload);
                 const bool is_default = type == RTM_NEWROUTE && route.rtm_family == family &&
                                         route.rtm_type == RTN_UNICAST && route.rtm_dst_len == 0;
                 if (is_default) read_next_hops(after<rtmsg>(payload), gateways);
               });
  }
  std::sort(gateways.begin(), gateways.end());
  gateways.erase(std::unique(gateways.begin(), gateways.end()), gateways.end());
  return gateways;
}

}  // namespace sidetap::net
