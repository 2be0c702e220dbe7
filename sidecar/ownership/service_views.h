// Which of a client's views of Service traffic are owned, where the peer is a cluster IP: the one
// rule by which the engine decides, and by which the kernel's filter may drop.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/net/cidr.h"
#include "sidecar/ownership/tapped_peers.h"

namespace sidetap::ownership {

/// What becomes of them.
enum class ServiceView : std::uint8_t {
  kAuto,    ///< Dropped where every backend is tapped; where that is not known, while anybody is.
  kNever,   ///< Dropped.
  kAlways,  ///< Kept; the pod view of the same packet comes from the backend too.
};

/// Is the view of this Service kept? Not to be asked of Services that count as untapped whatever
/// else is set: theirs always are.
bool keeps_view(ServiceView view, const TappedPeers& tapped, net::IpAddress service);

/// The Services whose views are not kept: those within `subnets` but for the `untapped` ones.
std::vector<net::Cidr> dropped_views(ServiceView view, const TappedPeers& tapped,
                                     const std::vector<net::Cidr>& subnets,
                                     const std::vector<net::Cidr>& untapped);

}  // namespace sidetap::ownership
