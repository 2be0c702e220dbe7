// Active mode: the tap dials a sensor on the loopback.
#pragma once

#include <memory>

#include <sys/socket.h>

#include "tests/unit/sidecar_session/sessions_fixture.h"

namespace sidetap::session {

class ActiveMode : public SessionsTest {
 protected:
  /// The sensor starts a capture over UDP.
  std::unique_ptr<Wire> capture_over_udp() {
    auto wire = std::make_unique<Wire>(sensor_.accept());
    open_interface(*wire);
    expect_type(wire->ask(start_request(rpcap::kStartDatagram, udp_.port())),
                rpcap::MessageType::kStartCaptureReply);
    return wire;
  }
  LocalSocket sensor_{SOCK_STREAM};
  LocalSocket udp_{SOCK_DGRAM};
};

}  // namespace sidetap::session
