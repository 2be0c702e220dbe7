// "HOST:PORT" as operators write it: one rule for flags, environment, configuration and
// annotations. The chart's schema has the same as a pattern; tests/support/host_port_cases.json
// holds them together.
//
// A host is a name of letters, digits, '-', '_' and '.', or an address. What consists of numbers
// and dots is an IPv4 address in its usual form or an error: look-ups read octal and hexadecimal
// parts, and fewer than four. A port is decimal, from 1 to 65535, without leading zeros. A URL is
// refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace sidetap::net {

struct HostPort {
  /// A name as it was written, or an address in its usual form, without brackets; an IPv4-mapped
  /// address is the IPv4 address. Empty: every address, where that is allowed.
  std::string host;
  std::uint16_t port = 0;

  /// Brackets around an IPv6 address.
  std::string to_string() const;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

/// Where to dial: "HOST", "HOST:PORT", "[V6]", "[V6]:PORT" or a bare IPv6 address. A missing port
/// is `default_port`; when that is 0, the port is required. Error: the text in quotes, and what is
/// wrong with it.
Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port = 0);
/// Where to listen: the same, or ":PORT" for every address; port 0 stands for any free one.
Result<HostPort> parse_listen_address(std::string_view text, std::uint16_t default_port = 0);

/// Are both one place, as far as that can be told without a look-up? Case and a final dot make no
/// difference to a name.
bool same_place(const HostPort& a, const HostPort& b);

}  // namespace sidetap::net
