// Gives a packet of the loopback interface the form in which a wire would carry it. Pure.
//
// The loopback interface has no MAC addresses, and packets of up to 64 KB with checksums that are
// not filled in. What is rewritten here are the addresses, and what the kernel says of a packet, so
// that fidelity::Restorer makes segments of the pod's MTU with complete checksums of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "shared/net/ip_address.h"
#include "sidecar/mesh/leg_table.h"
#include "sidecar/packet/captured_packet.h"
#include "sidecar/packet/packet_view.h"

namespace sidetap::mesh {

using MacAddress = std::array<std::byte, 6>;

struct WireFacts {
  /// Of the capture that the leg travels in: Ethernet or raw IP.
  capture::LinkType link = capture::LinkType::kEthernet;
  MacAddress pod{};   ///< Of the pod's interface.
  MacAddress peer{};  ///< Of who is at its other end.
  /// Of the pod's interface, bytes of an IP packet. 0: not known.
  std::uint32_t mtu = 1500;
  /// Stands for an application's loopback address; one of each family at most. A family without
  /// one keeps the loopback address.
  std::vector<net::IpAddress> pod_addresses;
  /// Stands for a client's address that is not the real one, one of each family at most. A family
  /// without one keeps the address as seen.
  std::vector<net::IpAddress> clients;
};

/// For one thread.
class LegRewriter {
 public:
  void set_facts(WireFacts facts) { facts_ = std::move(facts); }
  const WireFacts& facts() const { return facts_; }
  void set_peer(const MacAddress& mac) { facts_.peer = mac; }
  /// The pod's own addresses: a client with one of them is a stand-in too.
  void set_self(std::vector<net::IpAddress> self) { self_ = std::move(self); }

  /// `view` is of the same bytes, an Ethernet frame with TCP, and `key` its connection. The result
  /// refers to `packet.writable`, whose headers are changed, or, if that is empty, to a copy that
  /// is valid until the next call.
  capture::CapturedPacket rewrite(const capture::CapturedPacket& packet,
                                  const capture::PacketView& view, const LegKey& key);

 private:
  net::IpAddress shown_client(net::IpAddress client) const;
  net::IpAddress shown_server(net::IpAddress server) const;

  WireFacts facts_;
  std::vector<net::IpAddress> self_;
  std::vector<std::byte> copy_;
};

}  // namespace sidetap::mesh
