// Asks the kernel who owns the TCP sockets of this network namespace: it tells user and state of
// every one, whichever container opened it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/result.h"
#include "sidecar/mesh/socket_owners.h"
#include "sidecar/system/sock_diag.h"

namespace sidetap {

/// One thread. A question about one connection costs microseconds; that about the listeners grows
/// with their number, of which kMostListeners are kept.
class KernelSocketOwners final : public mesh::SocketOwners {
 public:
  static constexpr std::size_t kMostListeners = 4096;

  Result<std::vector<mesh::Listener>> listeners() override;
  std::optional<std::uint32_t> owner_of(const mesh::SocketEnds& ends) override;
  bool has_socket(const mesh::SocketEnds& ends) override;

 private:
  SockDiag diag_;
};

/// The kernel's words about one socket (struct inet_diag_msg).
struct SocketFacts {
  mesh::SocketEnds ends{};
  std::uint8_t state = 0;  ///< TCP_* of netinet/tcp.h.
  std::uint32_t user = 0;
  std::uint32_t inode = 0;  ///< 0: no process has it, and `user` says nothing.
};

/// Nothing: it is too short, or of another family.
std::optional<SocketFacts> read_socket_facts(std::span<const std::byte> message);

}  // namespace sidetap
