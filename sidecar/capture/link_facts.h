// What the kernel says about one link, beyond its addresses.
#pragma once

#include <cstdint>
#include <string>

#include "shared/result.h"

namespace sidetap::capture {

struct LinkFacts {
  int index = 0;
  unsigned flags = 0;  ///< IFF_* of net/if.h.
  /// ARPHRD_* of net/if_arp.h.
  unsigned hardware_type = 0;
  /// Bytes of the longest packet that the stack hands the link, or makes of what comes from it, for
  /// the card or the driver to split (64 KiB, more with BIG TCP).
  std::uint32_t longest_packet = 65'536;
  std::uint32_t mtu = 0;  ///< Bytes.
  /// What it sends comes out of another link: the other end of a veth, or the one that a VLAN or a
  /// macvlan lies on.
  bool leads_to_another = false;
};

/// Uses rtnetlink(7); needs no capability. Errors: there is no such link, or a system call fails.
Result<LinkFacts> read_link_facts(const std::string& name);

}  // namespace sidetap::capture
