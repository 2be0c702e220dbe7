// Chooses one flow in so many, so that conversations stay whole.
#pragma once

#include <cstdint>

#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

/// Whether the packet's flow is one of those that are chosen, one in `one_in`. Depends on nothing
/// but addresses, ports and protocol, and not on their order: both directions are chosen alike, and
/// by every tap of every release. An ICMP error is chosen like the flow that it quotes, fragments
/// like all fragments between their two hosts. What a smaller sample has, a larger one has too.
/// What is not IP belongs to no flow, and is always chosen.
bool is_in_sample(const PacketView& view, std::uint32_t one_in);

}  // namespace sidetap::capture
