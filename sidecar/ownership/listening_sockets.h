// The TCP ports of this pod in state LISTEN.
#pragma once

#include <cstdint>

#include "shared/net/ip_address.h"

namespace sidetap::ownership {

/// The engine calls it only for a TCP flow that is first seen midway.
class ListeningSockets {
 public:
  virtual ~ListeningSockets() = default;
  /// Whether a socket accepts connections on this address and port, through a wildcard or exactly.
  virtual bool is_listening(net::IpAddress local, std::uint16_t port) = 0;
};

/// Nothing listens: flows first seen midway are decided by their ports alone.
class NoListeningSockets final : public ListeningSockets {
 public:
  bool is_listening(net::IpAddress, std::uint16_t) override { return false; }
};

}  // namespace sidetap::ownership
