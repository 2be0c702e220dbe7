// A series of packets, each led by two bytes of length, through the engines of two tapped pods: of
// a packet between the two, exactly one engine owns it.
//
// Both see every packet in the same order, so the one excuse is a TCP flow first seen midway, for
// which nothing is asserted.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "sidecar/ownership/engine.h"

namespace {

using namespace sidetap;

ownership::EngineConfig pod(unsigned n) {
  ownership::EngineConfig config;
  config.self.addresses = {net::IpAddress::v4(0x0a000000U + n),
                           net::IpAddress::v6(0xfd00000000000000ULL, n)};
  config.tapped_peers.peers = net::CidrSet::parse("10.0.0.0/24,fd00::/64").value();
  config.service_subnets = net::CidrSet::parse("10.96.0.0/12").value();
  config.flow_capacity = 64;
  config.fragment_capacity = 16;
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ownership::NoListeningSockets nothing;
  ownership::Engine one(pod(1), nothing);
  ownership::Engine two(pod(2), nothing);
  auto rest = std::as_bytes(std::span(data, size));
  while (rest.size() >= 2) {
    const std::size_t length = std::min<std::size_t>(
        std::to_integer<std::size_t>(rest[0]) << 8 | std::to_integer<std::size_t>(rest[1]),
        rest.size() - 2);
    const auto view = capture::parse_packet(capture::LinkType::kRawIp, rest.subspan(2, length));
    rest = rest.subspan(2 + length);
    const ownership::Decision a = one.decide(view);
    const ownership::Decision b = two.decide(view);
    const auto is = [](net::IpAddress address, unsigned n) {
      return address == net::IpAddress::v4(0x0a000000U + n) ||
             address == net::IpAddress::v6(0xfd00000000000000ULL, n);
    };
    const bool between = (is(view.source, 1) && is(view.destination, 2)) ||
                         (is(view.source, 2) && is(view.destination, 1));
    const bool tcp = view.protocol == 6 || (view.quote && view.quote->protocol == 6) ||
                     a.rule == ownership::Rule::kFragment;
    if (view.is_ip() && between && !tcp && a.owned == b.owned) std::abort();
  }
  return 0;
}
