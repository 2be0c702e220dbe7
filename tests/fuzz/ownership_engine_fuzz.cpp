// Feeds a series of packets, each after two bytes of length, to the engines of two tapped pods:
// exactly one engine owns a packet between the two.
//
// Both see every packet in the same order and nothing listens, so only one of the documented
// exceptions remains: TCP first seen midway with two ephemeral ports, where both ends look like
// clients. The fuzzer recognizes it by its rule. If only one of the two evicts a flow, the check
// ends.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <span>
#include <tuple>

#include "sidecar/ownership/engine.h"

namespace {

using namespace sidetap;

ownership::EngineConfig pod(unsigned n) {
  ownership::EngineConfig config;
  config.self.addresses = {net::IpAddress::v4(0x0a000000U + n),
                           net::IpAddress::v6(0xfd00000000000000ULL, n)};
  config.tapped_peers.prefixes = net::CidrSet::parse("10.0.0.0/24,fd00::/64").value();
  config.service_subnets = net::CidrSet::parse("10.96.0.0/12").value();
  config.flow_capacity = 1024;
  config.fragment_capacity = 16;
  return config;
}

bool is_end(net::IpAddress address, unsigned n) {
  return address == net::IpAddress::v4(0x0a000000U + n) ||
         address == net::IpAddress::v6(0xfd00000000000000ULL, n);
}

bool between_the_pods(const capture::PacketView& view) {
  return (is_end(view.source, 1) && is_end(view.destination, 2)) ||
         (is_end(view.source, 2) && is_end(view.destination, 1));
}

bool both_ephemeral(std::uint16_t one, std::uint16_t two) {
  const ownership::PortRange range;
  return range.contains(one) && range.contains(two);
}

/// Of a fragment, as far as all of its datagram have it.
using Datagram = std::tuple<net::IpAddress, net::IpAddress, std::uint32_t, std::uint8_t>;

Datagram datagram_of(const capture::PacketView& view) {
  return {view.source, view.destination, view.fragment_id,
          view.source.is_v4() ? view.protocol : std::uint8_t{0}};
}

/// Both ends of this packet may look like clients. `doubtful`: datagrams whose first fragment is
/// such a packet.
bool excused(const capture::PacketView& view, ownership::Rule rule,
             const std::set<Datagram>& doubtful) {
  constexpr std::uint8_t kTcp = 6;
  switch (rule) {
    case ownership::Rule::kTcpMidway:
      return both_ephemeral(view.source_port, view.destination_port);
    case ownership::Rule::kQuotedFlow:
      return view.quote->protocol == kTcp &&
             both_ephemeral(view.quote->source_port, view.quote->destination_port);
    case ownership::Rule::kFragment:
      return doubtful.contains(datagram_of(view));
    default:
      return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ownership::NoListeningSockets nothing;
  ownership::Engine one(pod(1), nothing);
  ownership::Engine two(pod(2), nothing);
  std::set<Datagram> doubtful;
  auto rest = std::as_bytes(std::span(data, size));
  while (rest.size() >= 2) {
    const std::size_t length = std::min<std::size_t>(
        std::to_integer<std::size_t>(rest[0]) << 8 | std::to_integer<std::size_t>(rest[1]),
        rest.size() - 2);
    const auto view = capture::parse_packet(capture::LinkType::kRawIp, rest.subspan(2, length));
    rest = rest.subspan(2 + length);
    const ownership::Decision a = one.decide(view);
    const ownership::Decision b = two.decide(view);
    if (one.flow_evictions() + two.flow_evictions() != 0) return 0;
    if (!view.is_ip() || !between_the_pods(view)) continue;
    const bool doubt = excused(view, a.rule, doubtful);
    if (a.owned == b.owned && !doubt) std::abort();
    if (view.first_fragment) {
      doubtful.erase(datagram_of(view));
      if (doubt) doubtful.insert(datagram_of(view));
    }
  }
  return 0;
}
