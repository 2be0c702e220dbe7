// Asks the kernel about the TCP sockets of this network namespace: NETLINK_SOCK_DIAG
// (sock_diag(7)), which needs no right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "shared/net/unique_fd.h"
#include "shared/result.h"
#include "sidecar/mesh/socket_owners.h"

namespace sidetap {

/// One thread. The kernel answers at once. Without an answer for a tenth of a second, the question
/// has failed, and the next one leaves from another socket: a late answer must not be taken for its
/// own.
class SockDiag {
 public:
  /// Takes the kernel's words about one socket: struct inet_diag_msg, then attributes.
  using Visit = std::function<void(std::span<const std::byte> message)>;

  /// Those in LISTEN, of IPv4 and of IPv6. Error: some may have been visited.
  Result<void> listening(const Visit& visit);
  /// That at the local end, of a connection in any state. Where there is none, the kernel may tell
  /// of who listens. Empty: of nothing, or the question has failed.
  std::vector<std::byte> about(const mesh::SocketEnds& ends);

 private:
  Result<void> open();

  net::UniqueFd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace sidetap
