// Who receives the packets of an interface, and which packets each gets.
#pragma once

#include <string>
#include <vector>

namespace sidetap {

/// It can change while the tap runs: see CaptureLoop::advance().
struct Receivers {
  std::vector<std::string> sensors{};  ///< Keys of captures that are counted one by one.
  bool every = false;    ///< Each of them is to get every packet: what one misses is counted.
  bool balance = false;  ///< Each flow to one of them, instead of every packet to every capture.
  bool spread = false;   ///< Outputs spread flows over source ports.
  /// Sensors or files are configured. If not, clients that connect to the tap take their place, and
  /// no packet is kept while none runs.
  bool configured = true;
  /// The tap dials them, or opens them itself. If not, it does not wait at its end for one that
  /// might connect.
  bool dialled = true;

  /// Keys of the captures of which each is to get every packet.
  std::vector<std::string> expected() const { return every ? sensors : std::vector<std::string>{}; }
};

}  // namespace sidetap
