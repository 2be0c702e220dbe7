// The state of the interface with a given name at one moment.
#pragma once

namespace sidetap::capture {

struct InterfaceNow {
  unsigned index = 0;    ///< 0: there is no interface of that name.
  bool up = false;       ///< IFF_UP.
  bool carrier = false;  ///< IFF_RUNNING: the other end exists and is up.
  friend bool operator==(const InterfaceNow&, const InterfaceNow&) = default;
};

}  // namespace sidetap::capture
