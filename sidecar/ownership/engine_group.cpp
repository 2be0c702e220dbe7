// Rule 2: the sender owns what goes to everybody on the link. Also identifies senders; see
// neighbours.h.
#include <algorithm>

#include "sidecar/ownership/engine.h"
#include "sidecar/ownership/icmp_kinds.h"

namespace sidetap::ownership {
namespace {

using capture::Direction;
using capture::PacketView;

bool is_link_control(const PacketView& p) {
  // 01:80:c2:00:00:0x (IEEE 802.1Q): bridges never forward these, so no pod behind a bridge sent
  // them.
  constexpr std::array<std::byte, 5> kPrefix{std::byte{0x01}, std::byte{0x80}, std::byte{0xc2},
                                             std::byte{0x00}, std::byte{0x00}};
  return p.has_mac && std::equal(kPrefix.begin(), kPrefix.end(), p.destination_mac.begin()) &&
         (p.destination_mac[5] & std::byte{0xf0}) == std::byte{0};
}

}  // namespace

bool Engine::is_self_mac(const PacketView& packet) const {
  return packet.has_mac && config_.self.mac != Mac{} && packet.source_mac == config_.self.mac;
}

/// Whether this pod has sent this incoming frame. Bridges return frames that they flood, and
/// address translation on the node may have replaced the sender's address.
bool Engine::is_echo(const PacketView& packet) const {
  const auto& senders = config_.self.senders;
  return packet.direction == Direction::kInbound && packet.has_mac &&
         std::find(senders.begin(), senders.end(), packet.source_mac) != senders.end();
}

bool Engine::is_outside(net::IpAddress address) const {
  const auto& pods = config_.pod_subnets;
  const net::CidrSet& link = pods.has_family(address.is_v4()) ? pods : config_.self.on_link;
  return link.has_family(address.is_v4()) && !link.contains(address);
}

void Engine::learn_next_hop(const Mac& mac, AddressFacts destination) {
  if (mac == last_next_hop_ && !destination.gateway) return;
  last_next_hop_ = mac;
  Neighbour& neighbour = neighbours_.obtain(mac);
  neighbour.next_hop = true;
  neighbour.gateway |= destination.gateway;
}

void Engine::learn_claim(const Mac& mac, net::IpAddress address) {
  const AddressFacts facts = facts_of(address);
  // A host that claims an address outside may have another that is tapped.
  if (facts.group || facts.self || (!facts.gateway && !facts.tapped && is_outside(address))) return;
  Neighbour& neighbour = neighbours_.obtain(mac);
  neighbour.gateway |= facts.gateway;
  net::IpAddress& known = neighbour.of_family(address.is_v4());
  if (known.is_unspecified() || !facts_of(known).tapped) known = address;
}

Engine::Tapped Engine::is_tapped_by_mac(const PacketView& packet, bool source) {
  if (tapped_->empty()) return Tapped::kNo;
  if (!packet.has_mac) return Tapped::kUnknown;
  const Neighbour* const known =
      neighbours_.find(source ? packet.source_mac : packet.destination_mac);
  if (known == nullptr) return Tapped::kUnknown;
  // A gateway may answer for tapped peers behind it (proxy ARP).
  if (known->gateway) return Tapped::kNo;
  bool claims = false;
  for (const net::IpAddress address : {known->v4, known->v6}) {
    if (address.is_unspecified()) continue;
    if (facts_of(address).tapped) return Tapped::kYes;
    claims = true;
  }
  return claims || known->next_hop ? Tapped::kNo : Tapped::kUnknown;
}

Decision Engine::decide_link(const PacketView& packet) {
  if (is_echo(packet)) return {false, Rule::kReturned};
  const bool telling = packet.arp_sender && !packet.arp_sender->is_unspecified();
  const AddressFacts sender = telling ? facts_of(*packet.arp_sender) : AddressFacts{};
  // Pods on ipvlan share one MAC address, so an ARP sender that is a tapped peer takes precedence.
  const bool sent_by_self = packet.direction == Direction::kOutbound || sender.self ||
                            (is_self_mac(packet) && !sender.tapped);
  if (sent_by_self) {
    if (packet.direction == Direction::kInbound) return {false, Rule::kReturned};
    return {true, Rule::kGroupSent};
  }
  if (telling && packet.has_mac && !is_self_mac(packet))
    learn_claim(packet.source_mac, *packet.arp_sender);
  const bool for_somebody_else = packet.has_mac && !packet.link_group &&
                                 config_.self.mac != Mac{} &&
                                 packet.destination_mac != config_.self.mac;
  if (for_somebody_else) return {false, Rule::kNotSelf};
  Tapped tapped = is_tapped_by_mac(packet, true);
  if (tapped == Tapped::kUnknown && telling) tapped = sender.tapped ? Tapped::kYes : Tapped::kNo;
  if (tapped == Tapped::kUnknown && is_link_control(packet)) tapped = Tapped::kNo;
  return from_others(tapped);
}

Decision Engine::decide_group(const PacketView& packet, AddressFacts source) {
  // Address configuration (DHCP, duplicate address detection) starts without an address.
  const bool nameless = packet.source.is_unspecified();
  const bool sent_by_self =
      packet.direction == Direction::kOutbound || source.self || (nameless && is_self_mac(packet));
  if (sent_by_self) {
    if (packet.direction == Direction::kInbound) return {false, Rule::kReturned};
    return {true, Rule::kGroupSent};
  }
  const bool telling = !nameless && (packet.source.is_v4() || !packet.source.is_link_local());
  const bool discovery = is_neighbour_discovery(packet);
  if (discovery && packet.has_mac && !is_self_mac(packet) && (telling || source.gateway))
    learn_claim(packet.source_mac, packet.source);
  const bool routes = discovery && packet.icmp_type == kRouterAdvertisement;
  // An address in the set is certain. Any other may be a further address of a tapped peer.
  Tapped tapped = source.tapped ? Tapped::kYes : is_tapped_by_mac(packet, true);
  if (tapped == Tapped::kUnknown && (telling || routes || source.gateway)) tapped = Tapped::kNo;
  return from_others(tapped);
}

Decision Engine::from_others(Tapped tapped) {
  switch (tapped) {
    case Tapped::kYes:
      return {false, Rule::kGroupFromTapped};
    case Tapped::kNo:
      return {true, Rule::kGroupFromUntapped};
    case Tapped::kUnknown:
      break;
  }
  return {false, Rule::kGroupFromUnknown};
}

}  // namespace sidetap::ownership
