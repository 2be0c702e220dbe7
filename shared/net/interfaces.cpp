#include "shared/net/interfaces.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <memory>
#include <string_view>

#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>

#include "shared/net/netlink.h"
#include "shared/net/socket_address.h"
#include "shared/net/unique_fd.h"

namespace sidetap::net {
namespace {

IpAddress from_sockaddr(const sockaddr* address) {
  return address == nullptr ? IpAddress() : read_socket_address(address).address;
}

unsigned mask_length(IpAddress mask, bool v4) {
  if (v4) return static_cast<unsigned>(std::popcount(mask.v4_bits()));
  return static_cast<unsigned>(std::popcount(mask.high()) + std::popcount(mask.low()));
}

/// Whether all interfaces of this kind share the MAC address of the link below.
bool is_kind_of_shared_mac(std::span<const std::byte> link_info) {
  bool shared = false;
  for_each_attribute(link_info, [&](unsigned type, std::span<const std::byte> value) {
    if (type != IFLA_INFO_KIND) return;
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    const std::string_view kind = text.substr(0, text.find('\0'));
    shared = kind == "ipvlan" || kind == "ipvtap";
  });
  return shared;
}

Interface read_link(std::span<const std::byte> payload) {
  const auto link = read_kernel_value<ifinfomsg>(payload);
  Interface interface;
  interface.index = static_cast<unsigned>(link.ifi_index);
  interface.flags = link.ifi_flags;
  for_each_attribute(
      after<ifinfomsg>(payload), [&](unsigned type, std::span<const std::byte> value) {
        if (type == IFLA_IFNAME) {
          const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
          interface.name = text.substr(0, text.find('\0'));
        } else if (type == IFLA_MTU) {
          interface.mtu = read_kernel_value<std::uint32_t>(value);
        } else if (type == IFLA_ADDRESS && value.size() == interface.mac.size()) {
          std::copy(value.begin(), value.end(), interface.mac.begin());
        } else if ((type & NLA_TYPE_MASK) == IFLA_LINKINFO) {
          interface.shares_mac = is_kind_of_shared_mac(value);
        }
      });
  return interface;
}

/// Lists the interfaces without their addresses.
Result<std::vector<Interface>> list_links() {
  const UniqueFd descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = 1;
  request.link.ifi_family = AF_UNSPEC;
  std::vector<Interface> list;
  auto done = dump(descriptor.get(), std::as_bytes(std::span(&request, 1)),
                   [&](unsigned type, std::span<const std::byte> payload) {
                     if (type == RTM_NEWLINK) list.push_back(read_link(payload));
                   });
  if (!done) return Error{"cannot list the network interfaces: " + done.error().text};
  return list;
}

/// An IPv4 address may have a label, such as "eth0:1", which the kernel gives as its name
/// (ip-address(8)).
std::string_view name_without_label(std::string_view name) {
  return name.substr(0, name.find(':'));
}

/// Does not use ifa_broadaddr. Unless a broadcast address was set explicitly, which CNI plugins
/// rarely do, that field holds the interface's own address, although the kernel still broadcasts.
IpAddress subnet_broadcast(IpAddress address, unsigned prefix_length) {
  if (prefix_length >= 31) return {};
  const auto subnet = Cidr::make(address, prefix_length);
  return subnet ? subnet->last() : IpAddress{};
}

}  // namespace

Result<std::vector<Interface>> list_interfaces() {
  auto list = list_links();
  if (!list) return list;
  ifaddrs* head = nullptr;
  if (getifaddrs(&head) != 0) {
    return Error{std::string("cannot list the network interfaces: ") + std::strerror(errno)};
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(head, &freeifaddrs);
  for (const ifaddrs* entry = head; entry != nullptr; entry = entry->ifa_next) {
    const std::string_view name = name_without_label(entry->ifa_name);
    const auto found = std::find_if(list->begin(), list->end(),
                                    [&](const Interface& i) { return i.name == name; });
    if (found == list->end()) continue;  // created between the two queries
    if (entry->ifa_addr == nullptr) continue;
    const auto family = entry->ifa_addr->sa_family;
    if (family == AF_INET || family == AF_INET6) {
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
