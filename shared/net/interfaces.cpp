#include "shared/net/interfaces.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"

namespace sidetap::net {
namespace {

IpAddress from_sockaddr(const sockaddr* address) {
  if (address == nullptr) return {};
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return IpAddress::v4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, address, sizeof in6);
    std::array<std::byte, 16> bytes{};
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    return IpAddress::from_v6_bytes(bytes);
  }
  return {};
}

unsigned mask_length(IpAddress mask, bool v4) {
  if (v4) return static_cast<unsigned>(std::popcount(mask.v4_bits()));
  return static_cast<unsigned>(std::popcount(mask.high()) + std::popcount(mask.low()));
}

unsigned mtu_of(int socket_fd, const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return ioctl(socket_fd, SIOCGIFMTU, &request) == 0 ? static_cast<unsigned>(request.ifr_mtu) : 0;
}

/// Not ifa_broadaddr: where no broadcast address was set explicitly, which CNI plugins rarely do,
/// that field holds the interface's own address, while the kernel broadcasts all the same.
IpAddress subnet_broadcast(IpAddress address, unsigned prefix_length) {
  if (prefix_length >= 31) return {};
  const auto subnet = Cidr::make(address, prefix_length);
  return subnet ? subnet->last() : IpAddress{};
}

}  // namespace

Result<std::vector<Interface>> list_interfaces() {
  ifaddrs* head = nullptr;
  if (getifaddrs(&head) != 0) {
    return Error{std::string("cannot list the network interfaces: ") + std::strerror(errno)};
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(head, &freeifaddrs);
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::vector<Interface> list;
  for (const ifaddrs* entry = head; entry != nullptr; entry = entry->ifa_next) {
    auto found = std::find_if(list.begin(), list.end(),
                              [&](const Interface& i) { return i.name == entry->ifa_name; });
    if (found == list.end()) {
      list.push_back({.name = entry->ifa_name,
                      .index = if_nametoindex(entry->ifa_name),
                      .flags = entry->ifa_flags,
                      .mtu = mtu_of(control.get(), entry->ifa_name),
                      .mac = {},
                      .addresses = {}});
      found = std::prev(list.end());
    }
    if (entry->ifa_addr == nullptr) continue;
    const auto family = entry->ifa_addr->sa_family;
    if (family == AF_PACKET) {
      sockaddr_ll link{};
      std::memcpy(&link, entry->ifa_addr, sizeof link);
      if (link.sll_halen == found->mac.size()) {
        std::memcpy(found->mac.data(), link.sll_addr, found->mac.size());
      }
    } else if (family == AF_INET || family == AF_INET6) {
      InterfaceAddress address;
      address.address = from_sockaddr(entry->ifa_addr);
      address.prefix_length = mask_length(from_sockaddr(entry->ifa_netmask), family == AF_INET);
      if (family == AF_INET && (entry->ifa_flags & IFF_BROADCAST) != 0)
        address.broadcast = subnet_broadcast(address.address, address.prefix_length);
      found->addresses.push_back(address);
    }
  }
  return list;
}

}  // namespace sidetap::net
