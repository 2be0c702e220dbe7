#include "sidecar/fidelity/checksum.h"

#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap::fidelity {
namespace {

/// RFC 1071's definition, word by word.
std::uint16_t by_definition(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += std::to_integer<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) sum += std::to_integer<std::uint32_t>(bytes[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

std::vector<std::byte> noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(size);
  for (auto& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

TEST(Checksum, IsTheSumOfItsDefinitionForEveryLength) {
  for (std::size_t size = 0; size < 300; ++size) {
    const auto bytes = noise(size, static_cast<unsigned>(size));
    EXPECT_EQ(fold(sum_words(bytes)), by_definition(bytes)) << size;
  }
  const auto large = noise(65'535, 1);
  EXPECT_EQ(fold(sum_words(large)), by_definition(large));
  const std::vector<std::byte> ones(65'536, std::byte{0xff});
  EXPECT_EQ(fold(sum_words(ones)), by_definition(ones));
}

TEST(Checksum, SumsOfPiecesAdd) {
  const auto bytes = noise(1001, 2);
  const std::span<const std::byte> all(bytes);
  EXPECT_EQ(fold(sum_words(all.first(500)) + sum_words(all.subspan(500))), by_definition(bytes));
}

TEST(Crc32c, HasThePublishedCheckValue) {
  // The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
  constexpr std::string_view kText = "123456789";
  const auto bytes = std::as_bytes(std::span(kText));
  EXPECT_EQ(crc32c_end(crc32c_add(crc32c_begin(), bytes)), 0xe3069283U);
}

TEST(Crc32c, MayBeChainedAnywhere) {
  const auto bytes = noise(777, 3);
  const std::span<const std::byte> all(bytes);
  const std::uint32_t whole = crc32c_add(crc32c_begin(), all);
  for (const std::size_t cut : {0, 1, 7, 8, 100, 776})
    EXPECT_EQ(crc32c_add(crc32c_add(crc32c_begin(), all.first(cut)), all.subspan(cut)), whole);
}

}  // namespace
}  // namespace sidetap::fidelity
