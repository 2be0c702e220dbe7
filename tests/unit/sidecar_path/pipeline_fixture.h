// A pipeline, packets for it, and outputs that keep what they get.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pcap/bpf.h>

#include "sidecar/path/pipeline.h"
#include "tests/support/addresses.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {

class Recorder final : public forwarding::Output {
 public:
  explicit Recorder(std::vector<test::Bytes>& into, const bool* blocked = nullptr)
      : into_(into), blocked_(blocked) {}
  void add(const forwarding::OutgoingPacket& packet) override {
    test::Bytes whole(packet.head.begin(), packet.head.end());
    whole.insert(whole.end(), packet.body.begin(), packet.body.end());
    into_.push_back(std::move(whole));
    counts_.forwarded.add();
  }
  void flush() override {}
  int blocked_descriptor() const override { return blocked_ != nullptr && *blocked_ ? 1 : -1; }
  bool takes_more() const override { return blocked_descriptor() < 0; }

 private:
  std::vector<test::Bytes>& into_;
  const bool* blocked_;
};

class PipelineTest : public testing::Test {
 protected:
  static ownership::EngineConfig engine_config() {
    ownership::EngineConfig config;
    config.self.addresses = {ip("10.0.0.1")};
    return config;
  }

  Pipeline make(PipelineConfig config) {
    config.link = capture::LinkType::kEthernet;
    return {config, engine_};
  }

  std::shared_ptr<forwarding::Forwarder> forwarder(std::vector<test::Bytes>& into,
                                                   const bool* blocked = nullptr,
                                                   forwarding::SensorFilter filter = {}) {
    return std::make_shared<forwarding::Forwarder>(std::make_unique<Recorder>(into, blocked),
                                                   std::move(filter), rpcap::Sampling(), 262'144);
  }
  /// Lets packets of up to `longest` bytes pass.
  static forwarding::SensorFilter up_to(std::uint32_t longest) {
    const auto filter = forwarding::SensorFilter::make(std::vector<rpcap::BpfInstruction>{
        {.code = BPF_LD | BPF_W | BPF_LEN},
        {.code = BPF_JMP | BPF_JGT | BPF_K, .jt = 1, .k = longest},
        {.code = BPF_RET | BPF_K, .k = 262'144},
        {.code = BPF_RET | BPF_K, .k = 0}});
    EXPECT_TRUE(filter);
    return *filter;
  }

  static void feed(Pipeline& pipeline, const test::Bytes& bytes) {
    capture::CapturedPacket packet;
    packet.bytes = bytes;
    packet.length = static_cast<std::uint32_t>(bytes.size());
    packet.offload.known = true;
    pipeline.on_packet(packet);
  }

  /// One packet of TCP that left as `count` segments.
  static void feed_segments(Pipeline& pipeline, std::uint32_t count) {
    test::Bytes bytes = test::packet().from("8.8.8.8").to("10.0.0.1").tcp(40000, 80).ethernet();
    bytes.resize(14 + 20 + 20 + count * 100);
    const auto length = bytes.size() - 14;
    bytes[16] = static_cast<std::byte>(length >> 8);
    bytes[17] = static_cast<std::byte>(length);
    capture::CapturedPacket captured;
    captured.bytes = bytes;
    captured.length = static_cast<std::uint32_t>(bytes.size());
    captured.offload.known = true;
    captured.offload.segment_size = 100;
    pipeline.on_packet(captured);
  }
  static std::uint32_t sequence_of(const test::Bytes& segment) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i)
      number = number << 8 | std::to_integer<std::uint32_t>(segment[14 + 20 + 4 + i]);
    return number;
  }

  static test::Bytes there(std::uint16_t port) {
    return test::packet().from("8.8.8.8").to("10.0.0.1").udp(port, 53).ethernet();
  }
  static test::Bytes back(std::uint16_t port) {
    return test::packet().from("10.0.0.1").to("8.8.8.8").udp(53, port).ethernet();
  }

  ownership::NoListeningSockets nothing_;
  ownership::Engine engine_{engine_config(), nothing_};
};

}  // namespace sidetap
