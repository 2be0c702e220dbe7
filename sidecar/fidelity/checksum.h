// Checksums of the Internet protocols: the sum of RFC 1071, and SCTP's CRC32c (RFC 9260, appendix
// A).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sidetap::fidelity {

/// The one's complement sum of the 16-bit words of `bytes` in network order, neither folded nor
/// complemented. An odd last byte counts as the upper half of a word. Sums of pieces that begin at
/// even offsets may be added.
std::uint64_t sum_words(std::span<const std::byte> bytes);

/// RFC 1071's checksum of `bytes`: the complement of their sum.
std::uint16_t internet_checksum(std::span<const std::byte> bytes);

/// Folds a sum to 16 bits; the checksum is its complement.
constexpr std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// SCTP's CRC32c as a host-order number. The header holds it low byte first. `crc` chains pieces:
/// begin with crc32c_begin(), end with crc32c_end().
constexpr std::uint32_t crc32c_begin() { return 0xffffffffU; }
std::uint32_t crc32c_add(std::uint32_t crc, std::span<const std::byte> bytes);
constexpr std::uint32_t crc32c_end(std::uint32_t crc) { return ~crc; }

}  // namespace sidetap::fidelity
