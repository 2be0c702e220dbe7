// A connection of a tap of this pod, which must never be captured: forwarding it would feed itself.
#pragma once

#include <cstdint>

#include "shared/net/ip_address.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

/// Excluded in both directions, with every later fragment of its protocol between the two
/// addresses (they carry no ports). Port 0 stands for any, an unspecified local address for every
/// one of the pod and the loopback's, an unspecified remote address for any; with the latter
/// fragments are left alone.
struct OwnEndpoint {
  IpProtocol protocol = IpProtocol::kTcp;
  net::IpAddress local;
  std::uint16_t local_port = 0;
  net::IpAddress remote;
  std::uint16_t remote_port = 0;
  /// Whatever of the pod sends there is a tap's traffic: a proxy that the connection is led
  /// through, a tap in another container, a socket of an earlier session. Then `local_port` is not
  /// looked at.
  bool every_local_port = false;

  std::uint16_t matched_local_port() const {
    return every_local_port ? std::uint16_t{0} : local_port;
  }
  friend bool operator==(const OwnEndpoint&, const OwnEndpoint&) = default;
};

}  // namespace sidetap::capture
