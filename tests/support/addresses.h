// Short ways to write addresses in tests.
#pragma once

#include <cstdint>
#include <string_view>

#include "shared/net/ip_address.h"

namespace sidetap {

/// Throws if `text` is not an address.
inline net::IpAddress ip(std::string_view text) { return net::IpAddress::parse(text).value(); }

/// The nth address of 10.0.0.0/8.
inline net::IpAddress host(std::uint32_t n) { return net::IpAddress::v4(0x0a000000U + n); }

}  // namespace sidetap
