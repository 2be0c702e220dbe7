// "HOST:PORT" as operators write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace sidetap::net {

struct HostPort {
  std::string host;  ///< A name or an address, without brackets. Empty: every address.
  std::uint16_t port = 0;

  /// Brackets around an IPv6 address.
  std::string to_string() const;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

/// "HOST", "HOST:PORT", "[V6]", "[V6]:PORT", ":PORT" or a bare IPv6 address. A missing port is
/// `default_port`; when that is 0, the port is required.
Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port = 0);

}  // namespace sidetap::net
