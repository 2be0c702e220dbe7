// Writes packets into a network interface, as frames, for a sensor in the same pod that listens on
// it or on its other end (Suricata, Zeek).
//
// The interface may go and come back. Meanwhile each packet is dropped (DropCause::kSendError).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "shared/result.h"
#include "sidecar/forwarding/output.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::forwarding {

/// The system's side of the interface, which has a name; tests have their own. One thread.
class InterfacePort {
 public:
  struct State {
    unsigned index = 0;    ///< 0: no interface has the name.
    bool working = false;  ///< It is up and has a carrier.
  };

  virtual ~InterfacePort() = default;
  /// `expected`: the index at the last look; 0: none. Asked twice a second.
  virtual State look(unsigned expected) = 0;
  /// What is sent from now on goes into the interface with this index. Error: it takes no frames.
  virtual Result<void> attach(unsigned index) = 0;
  /// A non-blocking socket. Each message is one frame.
  virtual int descriptor() const = 0;
};

/// Called on the packet path, or by make_interface_output().
struct InterfaceEvents {
  /// Packets are dropped from now on, or still are, for another reason.
  FaultHandler on_lost{};
  /// Packets go into the interface from now on.
  std::function<void()> on_working{};
  /// A packet was dropped (DropCause::kTooLarge) that an interface with an MTU of so many bytes
  /// would have taken. Called for a larger MTU than before only.
  std::function<void(unsigned)> on_too_large{};
};

/// The MTU to advise for frames of that size, bytes: 1500, 9000 or 65535, so that a log that tells
/// of each once has few lines.
unsigned mtu_for(std::size_t frame);

/// `link`: of the packets. Those that are no Ethernet get a header without addresses. Looks at the
/// interface before it returns.
std::unique_ptr<Output> make_interface_output(std::unique_ptr<InterfacePort> port,
                                              capture::LinkType link, InterfaceEvents events);

}  // namespace sidetap::forwarding
