#include "sidecar/path/interface_description.h"

#include <algorithm>
#include <utility>

#include <net/if.h>
#include <pcap/pcap.h>

#include "shared/net/interfaces.h"

namespace sidetap {
namespace {

net::IpAddress netmask(const net::InterfaceAddress& address) {
  const unsigned length = address.prefix_length;
  if (address.address.is_v4()) {
    const std::uint32_t bits = length == 0 ? 0 : ~std::uint32_t{0} << (32 - std::min(length, 32U));
    return net::IpAddress::v4(bits);
  }
  const auto ones = [](unsigned n) { return n == 0 ? 0 : ~std::uint64_t{0} << (64 - n); };
  return net::IpAddress::v6(ones(std::min(length, 64U)), length > 64 ? ones(length - 64) : 0);
}

}  // namespace

rpcap::Interface describe_interface(std::string name, std::string text) {
  rpcap::Interface description;
  description.name = std::move(name);
  description.description = std::move(text);
  auto interfaces = net::list_interfaces();
  if (!interfaces) return description;
  for (const net::Interface& interface : *interfaces) {
    if (interface.name != description.name) continue;
    if (interface.flags & IFF_LOOPBACK) description.flags |= PCAP_IF_LOOPBACK;
    if (interface.flags & IFF_UP) description.flags |= PCAP_IF_UP;
    if (interface.flags & IFF_RUNNING) description.flags |= PCAP_IF_RUNNING;
    for (const net::InterfaceAddress& address : interface.addresses) {
      rpcap::InterfaceAddress entry;
      entry.address = address.address;
      entry.netmask = netmask(address);
      if (!address.broadcast.is_unspecified()) entry.broadcast = address.broadcast;
      description.addresses.push_back(entry);
    }
  }
  return description;
}

}  // namespace sidetap
