// IPv4 and IPv6 addresses as one ordered value type.
//
// Both families are stored as one 128-bit number, IPv4 in its IPv4-mapped form (RFC 4291, 2.5.5.2).
// An IPv4-mapped IPv6 address therefore equals the IPv4 address that it stands for. Addresses
// compare as unsigned big-endian numbers; both taps of a packet rely on this order.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "shared/result.h"

namespace sidetap::net {

class IpAddress {
 public:
  /// "::", which no packet of interest carries; test with is_unspecified().
  constexpr IpAddress() = default;

  static constexpr IpAddress v4(std::uint32_t host_order) {
    return IpAddress(0, kMappedPrefix | host_order);
  }
  static constexpr IpAddress v6(std::uint64_t high, std::uint64_t low) {
    return IpAddress(high, low);
  }
  /// 4 bytes in network order.
  static IpAddress from_v4_bytes(std::span<const std::byte, 4> bytes);
  /// 16 bytes in network order.
  static IpAddress from_v6_bytes(std::span<const std::byte, 16> bytes);
  /// Dotted quad or RFC 4291 text, without brackets or zone.
  static Result<IpAddress> parse(std::string_view text);

  constexpr bool is_v4() const { return high_ == 0 && (low_ >> 32) == 0xffff; }
  constexpr bool is_unspecified() const {
    return high_ == 0 && (low_ == 0 || low_ == kMappedPrefix);
  }
  constexpr bool is_multicast() const {
    return is_v4() ? (low_ >> 28 & 0xf) == 0xe : (high_ >> 56) == 0xff;
  }
  /// 255.255.255.255. A subnet's broadcast address is known only to its interface.
  constexpr bool is_limited_broadcast() const {
    return low_ == (kMappedPrefix | 0xffffffffU) && high_ == 0;
  }
  constexpr bool is_loopback() const {
    return is_v4() ? (low_ >> 24 & 0xff) == 127 : high_ == 0 && low_ == 1;
  }
  constexpr bool is_link_local() const {
    return is_v4() ? (low_ >> 16 & 0xffff) == 0xa9fe : (high_ >> 54) == (0xfe80U >> 6);
  }

  /// The IPv4 address in host order; for an IPv6 address, its last 32 bits.
  constexpr std::uint32_t v4_bits() const { return static_cast<std::uint32_t>(low_); }
  constexpr std::uint64_t high() const { return high_; }
  constexpr std::uint64_t low() const { return low_; }
  /// Network order; an IPv4 address in its mapped form.
  std::array<std::byte, 16> v6_bytes() const;
  std::array<std::byte, 4> v4_bytes() const;

  /// Dotted quad, or RFC 5952 text.
  std::string to_string() const;

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  static constexpr std::uint64_t kMappedPrefix = 0xffff00000000ULL;
  constexpr IpAddress(std::uint64_t high, std::uint64_t low) : high_(high), low_(low) {}
  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

}  // namespace sidetap::net

template <>
struct std::hash<sidetap::net::IpAddress> {
  std::size_t operator()(const sidetap::net::IpAddress& a) const noexcept {
    std::uint64_t h = (a.high() ^ 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 32) ^ a.low()) * 0xc4ceb9fe1a85ec53ULL;
    return static_cast<std::size_t>(h ^ (h >> 29));
  }
};
