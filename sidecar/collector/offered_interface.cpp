#include "sidecar/collector/offered_interface.h"

#include <algorithm>
#include <set>
#include <utility>

#include "shared/net/cidr.h"

namespace sidetap::collector {
namespace {

/// PCAP_IF_UP and PCAP_IF_RUNNING of pcap/pcap.h.
constexpr std::uint32_t kUpAndRunning = 0x2 | 0x4;

net::IpAddress mask_of(const net::IpAddress& address) {
  return address.is_v4() ? net::IpAddress::v4(0xffffff00) : net::IpAddress::v6(~0ULL, 0);
}

net::Cidr subnet_of(const net::IpAddress& address) {
  return net::Cidr::make(address, address.is_v4() ? 24 : 64).value();
}

}  // namespace

rpcap::Interface offered_interface(std::string name, std::string description,
                                   const std::vector<rpcap::InterfaceAddress>& own,
                                   const std::vector<net::IpAddress>& taps) {
  rpcap::Interface interface {
    .name = std::move(name), .description = std::move(description), .flags = kUpAndRunning,
    .addresses = {}
  };
  std::set<net::Cidr> there;
  for (const rpcap::InterfaceAddress& entry : own) {
    if (!entry.address || interface.addresses.size() == kMostAddresses) continue;
    there.insert(subnet_of(*entry.address));
    interface.addresses.push_back(entry);
  }
  for (const net::IpAddress& address : taps) {
    if (interface.addresses.size() == kMostAddresses) break;
    if (address.is_loopback() || address.is_link_local()) continue;
    if (!there.insert(subnet_of(address)).second) continue;
    interface.addresses.push_back({address, mask_of(address), {}, {}});
  }
  return interface;
}

}  // namespace sidetap::collector
