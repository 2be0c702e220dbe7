// Sends packets to a sensor over UDP: packed (udpstr), or in one datagram each.
#pragma once

#include <cstddef>
#include <memory>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/output.h"

namespace sidetap::forwarding {

/// `socket` must be connected and non-blocking. `datagram_size` is the UDP payload in bytes that
/// fits the path. The output reduces it when the path's MTU falls.
std::unique_ptr<Output> make_udpstr_output(net::UniqueFd socket, std::size_t datagram_size,
                                           FaultHandler on_fault);
/// A packet that does not fit a datagram is cut, as by a snaplen: IP never fragments it.
std::unique_ptr<Output> make_plain_udp_output(net::UniqueFd socket, std::size_t datagram_size,
                                              FaultHandler on_fault);

}  // namespace sidetap::forwarding
