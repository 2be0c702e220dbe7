// Sends packets to a sensor over a TCP stream, plain or TLS, as a sequence of RPCAP PACKET
// messages.
#pragma once

#include <memory>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/output.h"

struct ssl_st;

namespace sidetap::forwarding {

/// `socket`: connected, non-blocking. `tls`: bound to it, handshake done; null: plain. Holds up to
/// a bounded number of bytes that the socket does not take; packets beyond that are dropped whole,
/// so the stream stays in step.
std::unique_ptr<Output> make_tcp_output(net::UniqueFd socket, std::shared_ptr<ssl_st> tls,
                                        FaultHandler on_fault);

}  // namespace sidetap::forwarding
