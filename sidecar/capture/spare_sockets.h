// Keeps packet sockets for when the interface reappears and the tap may no longer create them.
//
// Creating a packet socket needs CAP_NET_RAW, but binding an existing one to another interface does
// not. A socket that was in a fanout group (growing_ring.h) cannot be bound again; all others are
// reused.
#pragma once

#include <cstddef>
#include <vector>

#include "shared/net/unique_fd.h"
#include "shared/result.h"

namespace sidetap::capture {

/// One thread.
class SpareSockets {
 public:
  /// Makes sockets until there are `count`, as long as that is allowed. Of those that come back
  /// later a few more are kept.
  void reserve(std::size_t count);
  /// One that is bound to nothing that passes packets: a new one, or one that was kept. Error:
  /// there is neither; names NET_RAW where that is missing.
  Result<net::UniqueFd> take();
  /// For a socket that nobody reads any more, or none. Gives its ring back, and nothing is captured
  /// for it.
  void give_back(net::UniqueFd socket);
  /// Of two that take() gave, whether the first was made before the second.
  bool is_older(const net::UniqueFd& first, const net::UniqueFd& second) const;

  std::size_t size() const { return kept_.size(); }

 private:
  net::UniqueFd make();

  std::vector<net::UniqueFd> kept_;
  std::vector<int> made_;  // descriptors, the oldest first; some may be closed
  std::size_t most_ = 0;
};

}  // namespace sidetap::capture
