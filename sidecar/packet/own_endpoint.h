// A connection of a tap of this pod. It must never be captured, because forwarding it would create
// a loop.
#pragma once

#include <cstdint>

#include "shared/net/ip_address.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::capture {

/// Excluded in both directions, together with every later fragment of its protocol between the two
/// addresses (fragments carry no ports). Port 0 means any port. An unspecified local address means
/// all addresses of the pod and the loopback. An unspecified remote address means any address; then
/// fragments are not excluded.
struct OwnEndpoint {
  IpProtocol protocol = IpProtocol::kTcp;
  net::IpAddress local;
  std::uint16_t local_port = 0;
  net::IpAddress remote;
  std::uint16_t remote_port = 0;
  /// Everything that the pod sends to the remote end is a tap's traffic: a proxy that the
  /// connection passes through, a tap in another container, a socket of an earlier session.
  /// `local_port` is then ignored.
  bool every_local_port = false;

  std::uint16_t matched_local_port() const {
    return every_local_port ? std::uint16_t{0} : local_port;
  }
  friend bool operator==(const OwnEndpoint&, const OwnEndpoint&) = default;
};

}  // namespace sidetap::capture
