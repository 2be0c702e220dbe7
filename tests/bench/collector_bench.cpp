// Measures the nanoseconds per packet in a collector between two sockets: unpack a tap's datagrams,
// take each packet, pack it for the sensor. Excludes system calls.
#include <cstdint>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "sidecar/collector/tap_feed.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/pipeline.h"
#include "tests/bench/nowhere.h"
#include "tests/unit/sidecar_collector/packed_packets.h"

namespace sidetap::collector {
namespace {

/// What a read of one message with joined datagrams holds, about.
constexpr std::uint32_t kPacketBytesOfRead = 64 * 1024;

void collect(benchmark::State& state, std::size_t size) {
  ownership::NoListeningSockets sockets;
  ownership::Engine engine(ownership::EngineConfig(), sockets);
  PipelineConfig config;
  config.collected = true;
  Pipeline pipeline(config, engine);
  pipeline.add(to_nowhere(), "sensor");
  const auto count = static_cast<std::uint32_t>(kPacketBytesOfRead / (size + 20));
  const auto datagrams = packed_datagrams(1, count, size);
  FeedSink sink;
  sink.handler = &pipeline.collected();
  for (auto _ : state) {
    pipeline.begin_read(Pipeline::Clock::now(), false);
    TapFeed feed(1, 262'144, sink);  // so that the numbers begin anew
    for (const PacketBytes& datagram : datagrams) feed.on_datagram(datagram);
  }
  state.SetItemsProcessed(state.iterations() * count);
  state.SetBytesProcessed(state.iterations() * count * static_cast<std::int64_t>(size));
}

void BM_CollectSmallPackets(benchmark::State& state) { collect(state, 60); }
BENCHMARK(BM_CollectSmallPackets);

void BM_CollectLargePackets(benchmark::State& state) { collect(state, 1'442); }
BENCHMARK(BM_CollectLargePackets);

}  // namespace
}  // namespace sidetap::collector
