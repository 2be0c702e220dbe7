// A pod with a tap, for tests: its engine, its listening sockets, and its view of a packet.
#pragma once

#include <initializer_list>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "sidecar/ownership/engine.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::test {

class FakeSockets final : public ownership::ListeningSockets {
 public:
  bool is_listening(net::IpAddress, std::uint16_t port) override {
    ++asked;
    return ports.contains(port);
  }
  std::set<std::uint16_t> ports;
  int asked = 0;
};

inline ownership::TappedPeers tapped(std::string_view text) {
  return ownership::TappedPeers::list(net::CidrSet::parse_rules(text).value());
}
inline net::CidrSet cidrs(std::string_view text) { return net::CidrSet::parse(text).value(); }

/// 10.0.0.<n> and fd00::<n> with MAC 02::<n>; every pod of 10.0.0.0/24 and fd00::/64 is tapped,
/// except the gateways 10.0.0.254 and fd00::fe and the pods .100 to .103. Services are in
/// 10.96.0.0/12 and fd00:96::/112.
inline ownership::EngineConfig pod_config(unsigned n) {
  ownership::EngineConfig c;
  c.self.addresses = {net::IpAddress::v4(0x0a000000U + n),
                      net::IpAddress::v6(0xfd00000000000000ULL, n),
                      net::IpAddress::v6(0xfe80000000000000ULL, n)};
  c.self.mac = mac(n);
  c.self.broadcasts = {ip("10.0.0.255")};
  c.pod_subnets = cidrs("10.0.0.0/24,fd00::/64");
  c.gateways = {ip("10.0.0.254"), ip("fd00::fe")};
  c.service_subnets = cidrs("10.96.0.0/12,fd00:96::/112");
  c.tapped_peers = tapped("10.0.0.0/24,!10.0.0.100/30,fd00::/64,!fd00::64/126");
  return c;
}

class Pod {
 public:
  explicit Pod(unsigned n) : Pod(pod_config(n)) {}
  explicit Pod(ownership::EngineConfig config) : engine(std::move(config), sockets) {}

  ownership::Decision sees(const Bytes& bytes,
                           capture::Direction direction = capture::Direction::kUnknown) {
    capture::PacketView view = capture::parse_packet(capture::LinkType::kEthernet, bytes);
    view.direction = direction;
    return engine.decide(view);
  }
  ownership::Decision sees(const PacketBuilder& p) { return sees(p.ethernet()); }
  bool owns(const PacketBuilder& p) { return sees(p).owned; }
  ownership::Rule rule(const PacketBuilder& p) { return sees(p).rule; }

  FakeSockets sockets;
  ownership::Engine engine;
};

}  // namespace sidetap::test
