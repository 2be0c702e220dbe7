// Asks the kernel how the interface of a name is.
#pragma once

#include <string>

#include "shared/net/unique_fd.h"
#include "sidecar/capture/interface_now.h"

namespace sidetap::capture {

/// One thread. Needs no capability.
class InterfaceSight {
 public:
  InterfaceSight();

  /// `expected` is the index that the interface had when last looked at, 0 for none. Where it still
  /// has the name, the kernel answers without its global lock (RTNL), for which a busy node can let
  /// the packet path wait.
  InterfaceNow look(const std::string& name, unsigned expected) const;

 private:
  net::UniqueFd control_;
};

}  // namespace sidetap::capture
