// What a dump of a pod leaves out: the connections of the pod's taps. Each packet that a tap
// forwards would otherwise appear a second time, within the tap's own stream.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/packet/own_endpoint.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap {

/// One thread. Pure.
class TapConnections {
 public:
  /// Everything between the pod and this port is a tap's, from whichever port of the pod.
  struct Place {
    net::IpAddress address{};
    std::uint16_t port = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };

  /// `pod`: its addresses; the loopback's count as well.
  TapConnections(std::vector<net::IpAddress> pod, std::vector<Place> places);

  /// Sets the local ports of the taps, ascending. Returns false if they have not changed.
  bool set_ports(std::vector<std::uint16_t> ports);
  /// TCP and UDP alone have such connections. ICMP errors about their packets belong to them. A
  /// later fragment, which has no ports, is nobody's.
  bool include(const capture::PacketView& packet) const;
  /// For the kernel's filter. The loopback's addresses are not among them.
  std::vector<capture::OwnEndpoint> endpoints() const;

 private:
  bool is_pods(net::IpAddress address) const;
  bool is_one(std::uint8_t protocol, const Place& from, const Place& to) const;
  bool is_between(const Place& local, const Place& remote) const;

  std::vector<net::IpAddress> pod_;
  std::vector<Place> places_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace sidetap
