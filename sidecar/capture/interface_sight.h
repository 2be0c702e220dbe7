// Queries the kernel for the state of an interface by name.
#pragma once

#include <string>

#include "shared/net/unique_fd.h"
#include "sidecar/capture/interface_now.h"

namespace sidetap::capture {

/// For one thread. Needs no capability.
class InterfaceSight {
 public:
  InterfaceSight();

  /// `expected` is the index that the interface had at the last look; 0 for none. If it still has
  /// the name, the kernel answers without its global lock (RTNL). On a busy node, waiting for that
  /// lock can delay the packet path.
  InterfaceNow look(const std::string& name, unsigned expected) const;

 private:
  net::UniqueFd control_;
};

}  // namespace sidetap::capture
