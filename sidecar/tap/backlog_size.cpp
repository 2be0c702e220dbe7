#include "sidecar/tap/backlog_size.h"

#include <algorithm>

namespace sidetap {
namespace {

constexpr std::uint64_t kMiB = 1U << 20;
constexpr std::uint64_t kUsual = 64 * kMiB;
constexpr std::uint64_t kEverythingElse = 32 * kMiB;
constexpr std::uint64_t kLeast = kMiB;  // however small the limit is

}  // namespace

BacklogSize backlog_size(std::optional<std::uint64_t> wanted, std::optional<std::uint64_t> limit,
                         std::size_t interfaces) {
  std::uint64_t size = wanted.value_or(kUsual);
  if (limit) size = std::min(size, std::max(*limit, kEverythingElse + kLeast) - kEverythingElse);
  return {.each = static_cast<std::size_t>(size / std::max<std::size_t>(interfaces, 1)),
          .reduced = wanted && size < *wanted};
}

}  // namespace sidetap
