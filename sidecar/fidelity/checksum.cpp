#include "sidecar/fidelity/checksum.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace sidetap::fidelity {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
    table[i] = crc;
  }
  return table;
}();

std::uint32_t crc_by_table(std::uint32_t crc, std::span<const std::byte> bytes) {
  for (const std::byte b : bytes)
    crc = kCrcTable[(crc ^ std::to_integer<std::uint32_t>(b)) & 0xff] ^ crc >> 8;
  return crc;
}

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] std::uint32_t crc_by_instruction(std::uint32_t crc,
                                                           std::span<const std::byte> bytes) {
  std::uint64_t wide = crc;
  while (bytes.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    wide = _mm_crc32_u64(wide, word);
    bytes = bytes.subspan(8);
  }
  return crc_by_table(static_cast<std::uint32_t>(wide), bytes);
}
#endif

// Sums words in this machine's byte order: by RFC 1071's byte order independence, only the folded
// result must be swapped. 32-bit halves in 64-bit lanes never overflow below 16 GiB, and compilers
// vectorize the loop.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
[[gnu::target_clones("avx2", "default")]]
#endif
std::uint64_t
sum_native(const std::byte* data, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t word;
    std::memcpy(&word, data + 4 * i, 4);
    sum += word;
  }
  return sum;
}

// For few bytes, this loop ends before a vectorized one would have started. Adding the carry at the
// lowest bit is RFC 1071's end-around carry, for four words at a time.
constexpr std::size_t kFew = 128;

std::uint64_t sum_few(const std::byte* data, std::size_t size) {
  std::uint64_t sum = 0;
  const auto add = [&sum](std::uint64_t word) {
    sum += word;
    sum += sum < word ? 1U : 0U;
  };
  const auto word_at = [](const std::byte* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
  };
  const bool can_look_back = size >= 8;
  for (; size >= 8; size -= 8, data += 8) add(word_at(data));
  if (size == 0) return sum;
  if (can_look_back) {
    add(word_at(data + size - 8) >> (8 * (8 - size)));
    return sum;
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, data, size);
  add(rest);
  return sum;
}

/// In this machine's byte order.
std::uint16_t folded_sum(std::span<const std::byte> bytes) {
  if (bytes.size() <= kFew) return fold(sum_few(bytes.data(), bytes.size()));
  const std::size_t whole = bytes.size() / 4;
  std::uint64_t sum = sum_native(bytes.data(), whole);
  std::array<std::byte, 4> rest{};
  const std::size_t left = bytes.size() - whole * 4;
  if (left != 0) {
    std::memcpy(rest.data(), bytes.data() + whole * 4, left);
    sum += std::bit_cast<std::uint32_t>(rest);
  }
  return fold(sum);
}

std::uint16_t swapped(std::uint16_t folded) {
  return static_cast<std::uint16_t>(folded << 8 | folded >> 8);
}

}  // namespace

std::uint64_t sum_words(std::span<const std::byte> bytes) { return swapped(folded_sum(bytes)); }

std::uint16_t internet_checksum(std::span<const std::byte> bytes) {
  return swapped(static_cast<std::uint16_t>(~folded_sum(bytes)));
}

std::uint32_t crc32c_add(std::uint32_t crc, std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  if (fast) return crc_by_instruction(crc, bytes);
#endif
  return crc_by_table(crc, bytes);
}

}  // namespace sidetap::fidelity
