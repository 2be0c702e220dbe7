// The network interface that an InterfaceDelivery writes into.
#pragma once

#include <memory>
#include <string>

#include "shared/net/unique_fd.h"
#include "sidecar/forwarding/interface_output.h"

namespace sidetap {

/// `socket`: a packet socket without a protocol, non-blocking (capture::SpareSockets). To attach it
/// to an interface, again and again, needs no capability.
std::unique_ptr<forwarding::InterfacePort> make_interface_port(std::string name,
                                                               net::UniqueFd socket);

}  // namespace sidetap
