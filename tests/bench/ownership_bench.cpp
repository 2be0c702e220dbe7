// Nanoseconds for parse and decide of one packet.
#include <vector>

#include <benchmark/benchmark.h>

#include "sidecar/ownership/engine.h"
#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap::ownership {
namespace {

using namespace sidetap::test;

std::vector<Bytes> segments(std::size_t flows, std::uint8_t flags) {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < flows; ++i) {
    out.push_back(packet()
                      .from(net::IpAddress::v4(0x0a000002U + static_cast<std::uint32_t>(i % 32)))
                      .to("10.0.0.1")
                      .tcp(static_cast<std::uint16_t>(32768 + i / 32), 443, flags)
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

void BM_EstablishedFlows(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  Pod pod{1};
  for (const Bytes& syn : segments(flows, 0x02)) pod.sees(syn);
  run(state, pod, segments(flows, 0x10));
}
BENCHMARK(BM_EstablishedFlows)->Arg(1)->Arg(1000)->Arg(100000);

void BM_NewFlows(benchmark::State& state) {
  EngineConfig config = pod_config(1);
  config.flow_capacity = 4096;
  Pod pod{config};
  run(state, pod, segments(500000, 0x02));
}
BENCHMARK(BM_NewFlows);

void BM_Datagrams(benchmark::State& state) {
  Pod pod{1};
  run(state, pod, {packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet()});
}
BENCHMARK(BM_Datagrams);

void BM_Fragments(benchmark::State& state) {
  Pod pod{1};
  const PacketBuilder p = packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53);
  run(state, pod,
      {PacketBuilder(p).fragment(1, 0, true).ethernet(),
       PacketBuilder(p).fragment(1, 185, true).ethernet(),
       PacketBuilder(p).fragment(1, 370, false).ethernet()});
}
BENCHMARK(BM_Fragments);

}  // namespace
}  // namespace sidetap::ownership
