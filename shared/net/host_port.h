// "HOST:PORT" as operators write it, with one rule for flags, environment, configuration and
// annotations. The chart's schema has the same rule as a pattern;
// tests/support/host_port_cases.json keeps them in step.
//
// A host is a name of letters, digits, '-', '_' and '.', or an address. Text that consists of
// numbers and dots must be an IPv4 address in dotted-quad form, because look-ups also accept octal
// and hexadecimal parts, and fewer than four. A port is decimal, from 1 to 65535, without leading
// zeros. A URL is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace sidetap::net {

struct HostPort {
  /// A name as written, or an address in canonical form, without brackets. An IPv4-mapped address
  /// becomes the IPv4 address. Empty means every address, where that is allowed.
  std::string host;
  std::uint16_t port = 0;

  /// Puts brackets around an IPv6 address.
  std::string to_string() const;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

/// An address to connect to: "HOST", "HOST:PORT", "[V6]", "[V6]:PORT" or a bare IPv6 address. A
/// missing port is `default_port`; if that is 0, the port is required. The Error quotes the text
/// and says what is wrong with it.
Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port = 0);
/// An address to listen on: the same, or ":PORT" for every address. Port 0 means any free port.
Result<HostPort> parse_listen_address(std::string_view text, std::uint16_t default_port = 0);

/// Whether both denote the same endpoint, as far as that is known without a look-up. Names compare
/// without regard to case and a final dot.
bool same_place(const HostPort& a, const HostPort& b);

}  // namespace sidetap::net
