// How much memory the backlog of each interface may use, so that the tap never dies of its memory
// limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace sidetap {

struct BacklogSize {
  std::size_t each = 0;  ///< Bytes, of one interface.
  bool reduced = false;  ///< Less was left than `wanted`.
};

/// `wanted`: as the operator says it, bytes of all interfaces together; nothing: 64 MiB, if there
/// is as much. `limit`: of this process; nothing: none. Of a limit 32 MiB are left to everything
/// else: the program, flows, what outputs and sockets hold.
BacklogSize backlog_size(std::optional<std::uint64_t> wanted, std::optional<std::uint64_t> limit,
                         std::size_t interfaces);

}  // namespace sidetap
