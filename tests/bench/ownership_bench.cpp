// Measures the nanoseconds to parse and decide one packet.
#include <random>
#include <set>
#include <vector>

#include <benchmark/benchmark.h>

#include "sidecar/ownership/engine.h"
#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

/// A packet to pod 1 from one of the others, of IP version `version`.
PacketBuilder from_peer(std::size_t number, std::int64_t version) {
  const std::uint32_t host = 2 + static_cast<std::uint32_t>(number % 32);
  return version == 4
             ? packet().from(net::IpAddress::v4(0x0a000000U + host)).to("10.0.0.1")
             : packet().from(net::IpAddress::v6(0xfd00000000000000ULL, host)).to("fd00::1");
}

std::vector<Bytes> segments(std::size_t flows, std::uint8_t flags, std::int64_t version,
                            std::uint16_t port = 443) {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < flows; ++i) {
    out.push_back(from_peer(i, version)
                      .tcp(static_cast<std::uint16_t>(32768 + i / 32), port, flags)
                      .ethernet());
  }
  return out;
}

void run(benchmark::State& state, Pod& pod, const std::vector<Bytes>& packets) {
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(pod.sees(packets[i]));
    if (++i == packets.size()) i = 0;
  }
}

/// With a tap's own endpoints: a session's control and data connections, and the status server.
EngineConfig tap_config() {
  using capture::IpProtocol;
  EngineConfig config = pod_config(1);
  config.own_endpoints = {{IpProtocol::kTcp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003},
                          {IpProtocol::kUdp, ip("10.0.0.1"), 40002, ip("192.0.2.1"), 2004},
                          {IpProtocol::kTcp, {}, 15920, {}, 0}};
  return config;
}

void BM_EstablishedFlows(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  Pod pod{tap_config()};
  for (const Bytes& syn : segments(flows, 0x02, state.range(1))) pod.sees(syn);
  run(state, pod, segments(flows, 0x10, state.range(1)));
}

/// What the registry tells of a cluster's Services: 200 target ports, and 1,000 endpoints of partly
/// tapped ones; `mine` says whether the pod itself is one of them.
TappedPeers cluster(bool mine) {
  TappedPeers peers = pod_config(1).tapped_peers;
  std::vector<net::TransportAddress> ports;
  for (std::uint16_t port = 8000; port < 8200; ++port)
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}})
      ports.push_back({net::IpAddress::v4(0), protocol, port});
  std::vector<net::TransportAddress> endpoints;
  for (std::uint32_t i = 0; i < 1000; ++i)
    endpoints.push_back({net::IpAddress::v4(0x0af40000U + i), 6, 443});
  if (mine) endpoints.push_back({ip("10.0.0.1"), 6, 443});
  peers.server_ports = PortSet(ports);
  peers.client_owned = TransportSet(endpoints);
  return peers;
}

/// Established flows, where the registry knows Services; 1: the pod is a partly tapped one's.
void BM_EstablishedFlowsWithServices(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  Pod pod{tap_config()};
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(cluster(state.range(1) == 1)));
  for (const Bytes& syn : segments(flows, 0x02, 4)) pod.sees(syn);
  run(state, pod, segments(flows, 0x10, 4));
}

void BM_DatagramsWithServices(benchmark::State& state) {
  Pod pod{tap_config()};
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(cluster(false)));
  run(state, pod, {packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet()});
}
BENCHMARK(BM_DatagramsWithServices);

/// The same right after the peers have changed: packets passed before that, or after it.
void BM_EstablishedFlowsAfterAChange(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  Pod pod{tap_config()};
  for (const Bytes& syn : segments(flows, 0x02, 4)) pod.sees(syn);
  const Moment change{std::chrono::hours(1)};
  pod.engine.set_tapped_peers(std::make_shared<const TappedPeers>(pod_config(1).tapped_peers),
                              change);
  const Moment passed = change + std::chrono::milliseconds(state.range(1) == 0 ? -1 : 1);
  const std::vector<Bytes> packets = segments(flows, 0x10, 4);
  std::size_t i = 0;
  for (auto _ : state) {
    const auto view = capture::parse_packet(capture::LinkType::kEthernet, packets[i]);
    benchmark::DoNotOptimize(pod.engine.decide(view, passed));
    if (++i == packets.size()) i = 0;
  }
}

/// SYNs of new flows beside a number of flows that continue.
void BM_NewFlows(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  Pod pod{tap_config()};
  for (const Bytes& segment : segments(flows, 0x10, state.range(1))) pod.sees(segment);
  run(state, pod, segments(500'000, 0x02, state.range(1), 80));
}

void BM_Datagrams(benchmark::State& state) {
  Pod pod{tap_config()};
  run(state, pod, {packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet()});
}
BENCHMARK(BM_Datagrams);

/// A number of datagrams at a time, each of three fragments: first all first fragments, then the
/// others.
void BM_Fragments(benchmark::State& state) {
  const auto datagrams = static_cast<std::size_t>(state.range(0));
  Pod pod{tap_config()};
  std::vector<Bytes> packets;
  for (unsigned part = 0; part < 3; ++part) {
    for (std::size_t i = 0; i < datagrams; ++i) {
      packets.push_back(from_peer(i, state.range(1))
                            .udp(40000, 53)
                            .fragment(static_cast<std::uint32_t>(i / 32), part * 185, part < 2)
                            .ethernet());
    }
  }
  run(state, pod, packets);
}

const std::vector<std::vector<std::int64_t>> kFlowsAndVersions = {{1, 1000, 100'000}, {4, 6}};
BENCHMARK(BM_EstablishedFlows)->ArgsProduct(kFlowsAndVersions);
BENCHMARK(BM_EstablishedFlowsWithServices)->ArgsProduct({{1, 1000, 100'000}, {0, 1}});
BENCHMARK(BM_EstablishedFlowsAfterAChange)->ArgsProduct({{1, 1000, 100'000}, {0, 1}});
BENCHMARK(BM_NewFlows)->ArgsProduct(kFlowsAndVersions);
BENCHMARK(BM_Fragments)->ArgsProduct(kFlowsAndVersions);

/// The set of tapped peers as the registry supplies it, without the engine's cache of addresses:
/// 10,000 pods, half of them members, in the subnets of 100 nodes.
void BM_TappedPeers(benchmark::State& state) {
  const bool v4 = state.range(0) == 4;
  std::mt19937 random(1);
  const auto pod = [&] {
    const auto node = static_cast<std::uint32_t>(random() % 100);
    const auto number = static_cast<std::uint32_t>(random() % 256);
    return v4 ? net::IpAddress::v4(0x0af40000U + node * 256 + number)
              : net::IpAddress::v6(0xfd00001002440000ULL + node, number);
  };
  std::set<net::IpAddress> members;
  while (members.size() < 10000) members.insert(pod());
  std::vector<net::Cidr> hosts;
  for (net::IpAddress member : members) hosts.push_back(net::Cidr::host(member));
  const net::CidrSet set{std::span<const net::Cidr>(hosts)};
  std::vector<net::IpAddress> asked(4096);
  for (net::IpAddress& address : asked) address = pod();
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(set.contains(asked[i]));
    i = (i + 1) % asked.size();
  }
}
BENCHMARK(BM_TappedPeers)->Arg(4)->Arg(6);

}  // namespace
}  // namespace sidetap::ownership
