// Which interface has a name now, and whether packets can pass it.
#pragma once

#include <string>

#include "shared/net/unique_fd.h"

namespace sidetap::capture {

struct InterfaceNow {
  unsigned index = 0;    ///< 0: there is no interface of that name.
  bool up = false;       ///< IFF_UP.
  bool carrier = false;  ///< IFF_RUNNING: the other end is there and up.
  friend bool operator==(const InterfaceNow&, const InterfaceNow&) = default;
};

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
