// FNV-1a (draft-eastlake-fnv): hashes that are the same in every process, build and machine, for
// what several processes have to agree on without asking each other. Not for a table whose keys
// others choose: they would make them collide.
#pragma once

#include <cstdint>
#include <string_view>

namespace sidetap {

/// Takes one byte after another.
template <class Value, Value basis, Value prime>
class Fnv1a {
 public:
  constexpr void add(std::uint8_t byte) { hash_ = (hash_ ^ byte) * prime; }
  constexpr void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint8_t>(c));
  }
  constexpr Value value() const { return hash_; }

 private:
  Value hash_ = basis;
};

using Fnv1a32 = Fnv1a<std::uint32_t, 2'166'136'261U, 16'777'619U>;
using Fnv1a64 = Fnv1a<std::uint64_t, 0xcbf29ce484222325ULL, 0x100000001b3ULL>;

}  // namespace sidetap
