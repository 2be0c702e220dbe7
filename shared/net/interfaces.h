// The network interfaces of this network namespace.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/net/cidr.h"
#include "shared/net/ip_address.h"

namespace sidetap::net {

struct InterfaceAddress {
  IpAddress address;
  unsigned prefix_length = 0;  ///< In the family's own count.
  IpAddress broadcast;         ///< Of the subnet. Unspecified where there is none (IPv6, /31, /32).
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct Interface {
  std::string name;
  unsigned index = 0;
  unsigned flags = 0;  ///< IFF_* of net/if.h.
  unsigned mtu = 0;    ///< Bytes; 0 when the system does not say.
  std::array<std::byte, 6> mac{};
  bool shares_mac = false;  ///< Others on the same link send with `mac` too (ipvlan, ipvtap).
  std::vector<InterfaceAddress> addresses;
  friend bool operator==(const Interface&, const Interface&) = default;
};

/// Every interface, in the system's order. Errors: the system call's.
Result<std::vector<Interface>> list_interfaces();

/// The next hops of the default routes, both families, every one of a route with several;
/// ascending, each once.
std::vector<IpAddress> default_gateways();

}  // namespace sidetap::net
