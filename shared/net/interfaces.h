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
  unsigned prefix_length = 0;  ///< 0 to 32 for IPv4, 0 to 128 for IPv6.
  IpAddress broadcast;         ///< Of the subnet. Unspecified where there is none (IPv6, /31, /32).
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct Interface {
  std::string name;
  unsigned index = 0;
  unsigned flags = 0;  ///< IFF_* of net/if.h.
  unsigned mtu = 0;    ///< Bytes. 0: unknown.
  std::array<std::byte, 6> mac{};
  bool shares_mac = false;  ///< Other interfaces on the link use the same MAC (ipvlan, ipvtap).
  std::vector<InterfaceAddress> addresses;
  friend bool operator==(const Interface&, const Interface&) = default;
};

/// Every interface, in the kernel's order. Errors: those of the system calls.
Result<std::vector<Interface>> list_interfaces();

/// The next hops of the default routes of both families, including all hops of a multipath route.
/// Ascending, without repetitions. Empty if the kernel cannot be asked.
std::vector<IpAddress> default_gateways();

}  // namespace sidetap::net
