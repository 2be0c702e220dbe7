// How much memory the kernel lets this process have, by its control group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sidetap {

/// Bytes; nothing: there is no limit. The lowest of those of the group and of the groups above it
/// that can be seen: memory.max of version 2, memory.limit_in_bytes of version 1 (Linux,
/// admin-guide/cgroup-v2 and cgroup-v1/memory). `root` stands for /, for tests.
std::optional<std::uint64_t> memory_limit(const std::string& root = {});

}  // namespace sidetap
