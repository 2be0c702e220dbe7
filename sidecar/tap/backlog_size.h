// How much memory the backlog of each interface may use, so that the tap never dies of its memory
// limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace sidetap {

struct BacklogSize {
  std::size_t each = 0;  ///< Bytes, of one interface.
  bool reduced = false;  ///< The limit leaves less than `wanted`.
};

/// `wanted`: the operator's setting in bytes, for all interfaces together; nothing: up to 64 MiB.
/// `limit`: the memory limit of this process; nothing: unlimited. Leaves 32 MiB of the limit to
/// everything else: the program, flows, outputs and sockets.
BacklogSize backlog_size(std::optional<std::uint64_t> wanted, std::optional<std::uint64_t> limit,
                         std::size_t interfaces);

}  // namespace sidetap
