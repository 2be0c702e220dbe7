#include "shared/net/ip_address.h"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace sidetap::net {
namespace {

std::uint64_t load_be64(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

}  // namespace

IpAddress IpAddress::from_v4_bytes(std::span<const std::byte, 4> bytes) {
  std::uint32_t value = 0;
  for (const std::byte b : bytes) value = value << 8 | std::to_integer<std::uint32_t>(b);
  return v4(value);
}

IpAddress IpAddress::from_v6_bytes(std::span<const std::byte, 16> bytes) {
  return {load_be64(bytes.data()), load_be64(bytes.data() + 8)};
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton needs a null-terminated string. No address is longer than this.
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() < buffer.size()) {
    std::memcpy(buffer.data(), text.data(), text.size());
    std::array<std::byte, 16> bytes{};
    if (inet_pton(AF_INET, buffer.data(), bytes.data()) == 1) {
      return from_v4_bytes(std::span<const std::byte, 4>(bytes.data(), 4));
    }
    if (inet_pton(AF_INET6, buffer.data(), bytes.data()) == 1) return from_v6_bytes(bytes);
  }
  return Error{"\"" + std::string(text) + "\" is not an IPv4 or IPv6 address"};
}

std::array<std::byte, 16> IpAddress::v6_bytes() const {
  std::array<std::byte, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::byte>(high_ >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::byte>(low_ >> (56 - 8 * i));
  }
  return bytes;
}

std::array<std::byte, 4> IpAddress::v4_bytes() const {
  std::array<std::byte, 4> bytes{};
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(low_ >> (24 - 8 * i));
  return bytes;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4()) {
    const auto bytes = v4_bytes();
    inet_ntop(AF_INET, bytes.data(), text.data(), text.size());
  } else {
    const auto bytes = v6_bytes();
    inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
  }
  return text.data();
}

}  // namespace sidetap::net
