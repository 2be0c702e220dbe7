// Random packets, for tests of properties that hold for all packets.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::test {

/// Packets of few addresses and ports, cut and damaged at random.
class RandomPackets {
 public:
  explicit RandomPackets(unsigned seed) : engine_(seed) {}
  unsigned operator()() { return static_cast<unsigned>(engine_()); }

  Bytes packet(capture::LinkType link) {
    const auto& family = (*this)() % 2 == 0 ? v4_ : v6_;
    PacketBuilder p = test::packet().from(pick(family)).to(pick(family));
    p.source_mac(mac((*this)() % 2 + 1));
    const unsigned to = (*this)() % 4;
    p.destination_mac(to == 0 ? kBroadcastMac : mac(to));
    switch ((*this)() % 5) {
      case 0:
        p.tcp(pick(ports_), pick(ports_), static_cast<std::uint8_t>((*this)()));
        break;
      case 1:
        p.icmp(static_cast<std::uint8_t>((*this)() % 2 == 0 ? (*this)() : 135));
        break;
      default:
        p.ports(pick(protocols_), pick(ports_), pick(ports_));
    }
    if ((*this)() % 8 == 0) p.vlan();
    if ((*this)() % 8 == 0) p.extension(60);
    if ((*this)() % 8 == 0) p.ip_options((*this)() % 11);
    if ((*this)() % 6 == 0) p.fragment(1, (*this)() % 3, (*this)() % 2 == 0);
    Bytes bytes = link == capture::LinkType::kEthernet ? p.ethernet() : p.network();
    if ((*this)() % 10 == 0)
      bytes = arp(to == 0 ? kBroadcastMac : mac(to), mac((*this)() % 2 + 1), pick(v4_), pick(v4_));
    if ((*this)() % 6 == 0) bytes.resize((*this)() % (bytes.size() + 1));
    if ((*this)() % 6 == 0 && bytes.size() > 15)
      bytes[(*this)() % bytes.size()] = static_cast<std::byte>((*this)());
    return bytes;
  }

 private:
  template <typename List>
  typename List::value_type pick(const List& list) {
    return list[(*this)() % std::size(list)];
  }

  std::mt19937 engine_;
  const std::vector<net::IpAddress> v4_ = {
      ip("10.0.0.1"),   ip("10.0.0.2"),  ip("192.0.2.1"),       ip("10.96.0.10"), ip("0.0.0.0"),
      ip("10.0.0.255"), ip("224.0.0.1"), ip("255.255.255.255"), ip("8.8.8.8")};
  const std::vector<net::IpAddress> v6_ = {ip("fd00::1"),    ip("fd00::2"), ip("2001:db8::1"),
                                           ip("fd00:96::a"), ip("::"),      ip("ff02::1"),
                                           ip("fe80::1"),    ip("fe80::2"), ip("10.0.0.1")};
  const std::vector<std::uint16_t> ports_ = {40001, 40002, 40003, 2003, 2004, 80, 15920};
  const std::vector<std::uint8_t> protocols_ = {17, 33, 47, 132, 136};
};

}  // namespace sidetap::test
