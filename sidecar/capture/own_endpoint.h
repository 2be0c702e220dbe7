// A connection of the tap itself, which must never be captured: forwarding it would feed itself.
#pragma once

#include <cstdint>

#include "shared/net/ip_address.h"
#include "sidecar/capture/packet_view.h"

namespace sidetap::capture {

/// Excluded in both directions, with every later fragment of its protocol between the two
/// addresses (they carry no ports). Port 0 stands for any, an unspecified local address for every
/// one of the pod, an unspecified remote address for any; with the latter fragments are left alone.
struct OwnEndpoint {
  IpProtocol protocol = IpProtocol::kTcp;
  net::IpAddress local;
  std::uint16_t local_port = 0;
  net::IpAddress remote;
  std::uint16_t remote_port = 0;
  friend bool operator==(const OwnEndpoint&, const OwnEndpoint&) = default;
};

}  // namespace sidetap::capture
