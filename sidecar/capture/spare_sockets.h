// Keeps packet sockets for when the interface reappears and the tap may no longer create them.
//
// Only CAP_NET_RAW makes a packet socket, but whoever has one may bind it to another interface,
// again and again.
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
  std::size_t size() const { return kept_.size(); }

 private:
  std::vector<net::UniqueFd> kept_;
  std::size_t most_ = 0;
};

}  // namespace sidetap::capture
