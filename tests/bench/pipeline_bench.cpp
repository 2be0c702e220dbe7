// Measures the nanoseconds per packet in the process between ring and socket: parse, decide,
// restore what offloads left undone, pack. Excludes the kernel's filter and system calls.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>

#include "sidecar/mesh/leg_rewriter.h"
#include "sidecar/mesh/leg_table.h"
#include "sidecar/ownership/listening_sockets.h"
#include "sidecar/path/pipeline.h"
#include "tests/bench/nowhere.h"
#include "tests/unit/sidecar_ownership/pod.h"

namespace sidetap {
namespace {

using namespace sidetap::test;

/// `packet` is one that the pod sends to an untapped peer.
void run(benchmark::State& state, const Bytes& bytes, const capture::Offload& offload) {
  ownership::NoListeningSockets sockets;
  ownership::EngineConfig config;
  config.self.addresses = {ip("10.0.0.1")};
  config.own_endpoints = {{capture::IpProtocol::kTcp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003},
                          {capture::IpProtocol::kUdp, ip("10.0.0.1"), 40002, ip("192.0.2.1"), 2004},
                          {capture::IpProtocol::kTcp, {}, 15920, {}, 0}};
  ownership::Engine engine(config, sockets);
  Pipeline pipeline({}, engine);
  pipeline.add(to_nowhere(), "sensor");
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.length = static_cast<std::uint32_t>(bytes.size());
  packet.offload = offload;
  for (auto _ : state) pipeline.on_packet(packet);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

Bytes udp(std::size_t payload) {
  return packet().from("10.0.0.1").to("198.51.100.7").udp(40000, 53).data(payload).ethernet();
}

constexpr capture::Offload kPartial{
    .known = true, .checksum_partial = true, .checksum_start = 34, .checksum_offset = 6};

void BM_SmallDatagram(benchmark::State& state) { run(state, udp(18), kPartial); }
BENCHMARK(BM_SmallDatagram);

void BM_SmallDatagramOfLibpcap(benchmark::State& state) { run(state, udp(18), {}); }
BENCHMARK(BM_SmallDatagramOfLibpcap);

void BM_LargeDatagram(benchmark::State& state) { run(state, udp(1400), kPartial); }
BENCHMARK(BM_LargeDatagram);

void BM_LargeDatagramComplete(benchmark::State& state) { run(state, udp(1400), {.known = true}); }
BENCHMARK(BM_LargeDatagramComplete);

void BM_SegmentsOf64K(benchmark::State& state) {
  const Bytes bytes =
      packet().from("10.0.0.1").to("198.51.100.7").tcp(40000, 443, 0x10).data(44 * 1460).ethernet();
  run(state, bytes,
      {.known = true,
       .checksum_partial = true,
       .checksum_start = 34,
       .checksum_offset = 16,
       .segment_size = 1460});
}
BENCHMARK(BM_SegmentsOf64K);

struct NobodysSockets final : mesh::SocketOwners {
  Result<std::vector<mesh::Listener>> listeners() override { return std::vector<mesh::Listener>(); }
  std::optional<std::uint32_t> owner_of(const mesh::SocketEnds&) override { return std::nullopt; }
  bool has_socket(const mesh::SocketEnds&) override { return false; }
};

/// As many bytes as BM_SegmentsOf64K has, from an application to the proxy of its mesh.
void BM_LegOf64K(benchmark::State& state) {
  Bytes bytes =
      packet().from("10.0.0.1").to("127.0.0.6").tcp(8080, 40000, 0x10).data(44 * 1460).ethernet();
  ownership::NoListeningSockets sockets;
  ownership::Engine engine({}, sockets);
  Pipeline pipeline({}, engine);
  pipeline.add(to_nowhere(), "sensor");
  NobodysSockets owners;
  mesh::LegTable legs(owners);
  const std::vector<mesh::Listener> listeners = {
      {ip("0.0.0.0"), 15001, 1337}, {ip("0.0.0.0"), 15006, 1337}, {ip("0.0.0.0"), 8080, 1000}};
  legs.set_mesh(mesh::find_mesh({}, listeners));
  legs.set_self({ip("10.0.0.1")});
  mesh::LegRewriter rewriter;
  rewriter.set_facts({});
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.writable = bytes;
  packet.length = static_cast<std::uint32_t>(bytes.size());
  packet.offload = {
      .known = true, .checksum_partial = true, .checksum_start = 34, .checksum_offset = 16};
  for (auto _ : state) {
    const auto view = capture::parse_packet(capture::LinkType::kEthernet, packet.bytes);
    const mesh::LegJudgement judgement = legs.judge(view);
    if (judgement.kind != mesh::LegJudgement::Kind::kLeg) state.SkipWithError("it is no leg");
    pipeline.on_leg(rewriter.rewrite(packet, view, judgement.key));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(BM_LegOf64K);

}  // namespace
}  // namespace sidetap
