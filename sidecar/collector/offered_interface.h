// The interface that a collector offers to sensors.
//
// A sensor knows nothing of taps behind a tap. It looks at the addresses of each interface, and
// takes the one that its rule names, usually by the subnet of pods. So this interface has the
// collector's own addresses, and of the taps one address for each /24 and each /64, as they come: a
// sensor whose rule names the subnet of some node's pods finds one of them. There are at most
// kMostAddresses, because an address takes 512 bytes in the list and sensors bound its length. A
// sensor asks when the session begins; where the rule could match taps only, and none has come yet,
// --preselected helps.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "shared/net/ip_address.h"
#include "shared/rpcap/messages.h"

namespace sidetap::collector {

inline constexpr std::size_t kMostAddresses = 64;

/// `own` come first, without those of loopback interfaces; of `taps` as many as there is room for.
rpcap::Interface offered_interface(std::string name, std::string description,
                                   const std::vector<rpcap::InterfaceAddress>& own,
                                   const std::vector<net::IpAddress>& taps);

}  // namespace sidetap::collector
