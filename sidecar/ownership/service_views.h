// Decides which of a client's views of Service traffic, in which the peer is a cluster IP, are
// owned. The engine and the kernel's filter share this rule.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/net/cidr.h"
#include "sidecar/ownership/tapped_peers.h"

namespace sidetap::ownership {

/// What to do with the views.
enum class ServiceView : std::uint8_t {
  kAuto,    ///< Dropped if every backend is tapped; if that is unknown, while any peer is tapped.
  kNever,   ///< Dropped.
  kAlways,  ///< Kept, although the backend's tap also forwards the pod view.
};

/// Whether the view of this Service is kept. Do not call it for EngineConfig::untapped_services:
/// their views are always kept.
bool keeps_view(ServiceView view, const TappedPeers& tapped, net::IpAddress service);

/// The Services whose views are not kept: those within `subnets`, except the `untapped` ones.
/// In a family without `subnets`, those that the registry names.
std::vector<net::Cidr> dropped_views(ServiceView view, const TappedPeers& tapped,
                                     const std::vector<net::Cidr>& subnets,
                                     const std::vector<net::Cidr>& untapped);

}  // namespace sidetap::ownership
