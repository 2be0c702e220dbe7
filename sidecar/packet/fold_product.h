// The step of hashes with a secret seed, for tables whose keys others choose.
#pragma once

#include <cstdint>

namespace sidetap {

/// Combines both halves of the full product.
inline std::uint64_t fold_product(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace sidetap
