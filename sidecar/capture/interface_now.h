// Which interface has a name at one moment, and whether packets can pass it.
#pragma once

namespace sidetap::capture {

struct InterfaceNow {
  unsigned index = 0;    ///< 0: there is no interface of that name.
  bool up = false;       ///< IFF_UP.
  bool carrier = false;  ///< IFF_RUNNING: the other end is there and up.
  friend bool operator==(const InterfaceNow&, const InterfaceNow&) = default;
};

}  // namespace sidetap::capture
