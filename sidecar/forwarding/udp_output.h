// Packets to a sensor over UDP: packed (udpstr) or one datagram each.
#pragma once

#include <cstddef>
#include <memory>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/output.h"

namespace sidetap::forwarding {

/// `socket`: connected, non-blocking. `datagram_size`: UDP payload that fits the path; it shrinks
/// when the path says so.
std::unique_ptr<Output> make_udpstr_output(net::UniqueFd socket, std::size_t datagram_size,
                                           FaultHandler on_fault);
/// A packet that does not fit a datagram is cut, as by a snaplen: IP never fragments it.
std::unique_ptr<Output> make_plain_udp_output(net::UniqueFd socket, std::size_t datagram_size,
                                              FaultHandler on_fault);

}  // namespace sidetap::forwarding
