#include "sidecar/forwarding/forwarder.h"

#include <gtest/gtest.h>
#include <pcap/pcap.h>

namespace sidetap::forwarding {
namespace {

class Recorder final : public Output {
 public:
  explicit Recorder(std::vector<rpcap::PacketHeader>& into) : into_(into) {}
  void add(const OutgoingPacket& packet) override {
    EXPECT_EQ(packet.header.captured, packet.head.size() + packet.body.size());
    into_.push_back(packet.header);
  }
  void flush() override {}

 private:
  std::vector<rpcap::PacketHeader>& into_;
};

struct Rig {
  std::vector<rpcap::PacketHeader> sent;
  Forwarder forwarder;

  explicit Rig(SensorFilter filter = {}, rpcap::Sampling sampling = {},
               std::uint32_t snaplen = 262144)
      : forwarder(std::make_unique<Recorder>(sent), std::move(filter), sampling, snaplen) {}

  void feed(std::span<const std::byte> bytes, std::uint64_t microseconds = 0) {
    capture::CapturedPacket packet;
    packet.bytes = bytes;
    packet.length = static_cast<std::uint32_t>(bytes.size());
    packet.seconds = static_cast<std::uint32_t>(microseconds / 1'000'000);
    packet.nanoseconds = static_cast<std::uint32_t>(microseconds % 1'000'000 * 1000);
    if (forwarder.wants(packet.bytes, packet.length) && forwarder.samples(packet))
      forwarder.forward(packet, {}, bytes, packet.length);
  }
};

std::vector<rpcap::BpfInstruction> compiled(const char* expression) {
  pcap_t* handle = pcap_open_dead(DLT_EN10MB, 262144);
  bpf_program program{};
  EXPECT_EQ(pcap_compile(handle, &program, expression, 1, PCAP_NETMASK_UNKNOWN), 0);
  std::vector<rpcap::BpfInstruction> result;
  for (unsigned i = 0; i < program.bf_len; ++i)
    result.push_back({.code = program.bf_insns[i].code,
                      .jt = program.bf_insns[i].jt,
                      .jf = program.bf_insns[i].jf,
                      .k = program.bf_insns[i].k});
  pcap_freecode(&program);
  pcap_close(handle);
  return result;
}

std::vector<std::byte> frame(std::uint8_t protocol) {
  std::vector<std::byte> bytes(60);
  bytes[12] = std::byte{8};
  bytes[14] = std::byte{0x45};
  bytes[23] = static_cast<std::byte>(protocol);
  return bytes;
}

TEST(SensorFilter, LetsPassWhatTheProgramSays) {
  auto filter = SensorFilter::make(compiled("udp"));
  ASSERT_TRUE(filter);
  Rig rig(std::move(*filter));
  rig.feed(frame(17));
  rig.feed(frame(6));
  EXPECT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.forwarder.counts().filtered.value(), 1u);
}

TEST(SensorFilter, RefusesHostilePrograms) {
  using Program = std::vector<rpcap::BpfInstruction>;
  const Program jumps_out{{.code = BPF_JMP | BPF_JA, .jt = 0, .jf = 0, .k = 100}};
  const Program no_return{{.code = BPF_LD | BPF_IMM, .jt = 0, .jf = 0, .k = 1}};
  const Program divides_by_zero{{.code = BPF_ALU | BPF_DIV | BPF_K, .jt = 0, .jf = 0, .k = 0},
                                {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1}};
  const Program beyond_memory{{.code = BPF_ST, .jt = 0, .jf = 0, .k = 16},
                              {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1}};
  const Program too_long(8193, {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1});
  // libpcap's own check adds in 32 bits, and takes this for an offset within the program.
  const Program for_ever{{.code = BPF_JMP | BPF_JA, .jt = 0, .jf = 0, .k = 0xffffffff},
                         {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1}};
  const Program back{{.code = BPF_LD | BPF_IMM, .jt = 0, .jf = 0, .k = 1},
                     {.code = BPF_JMP | BPF_JA, .jt = 0, .jf = 0, .k = 0xfffffffe},
                     {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1}};
  const Program branches_out{{.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = 1, .k = 7},
                             {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1}};
  // Returns, by the part of the code that bpf_validate() looks at; bpf_filter() would abort.
  const Program unknown{{.code = 0xb6b6, .jt = 0, .jf = 0, .k = 1}};
  for (const Program& program : {jumps_out, no_return, divides_by_zero, beyond_memory, too_long,
                                 for_ever, back, branches_out, unknown})
    EXPECT_FALSE(SensorFilter::make(program));
}

TEST(SensorFilter, TakesEveryInstructionThatLibpcapRuns) {
  unsigned taken = 0;
  for (unsigned code = 0; code <= 0xffff; ++code) {
    const std::vector<rpcap::BpfInstruction> program{
        {.code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = 1},
        {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1},
        {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 1}};
    const auto filter = SensorFilter::make(program);
    if (!filter) continue;
    ++taken;
    filter->passes(frame(6), 60);
  }
  // 2 returns, 9 loads, 4 of X, 2 stores, 9 jumps, 20 operations and the negation, 2 moves.
  EXPECT_EQ(taken, 2U + 9 + 4 + 2 + 9 + 21 + 2);
}

TEST(Forwarder, CutsToTheSnaplenAndNumbersFromOne) {
  Rig rig({}, {}, 40);
  rig.feed(frame(6));
  rig.feed(frame(6));
  ASSERT_EQ(rig.sent.size(), 2u);
  EXPECT_EQ(rig.sent[0].captured, 40u);
  EXPECT_EQ(rig.sent[0].length, 60u);
  EXPECT_EQ(rig.sent[0].number, 1u);
  EXPECT_EQ(rig.sent[1].number, 2u);
}

TEST(Forwarder, CutsAcrossTheTwoParts) {
  Rig rig({}, {}, 40);
  const auto bytes = frame(6);
  capture::CapturedPacket packet;
  packet.bytes = bytes;
  packet.length = 60;
  const std::span<const std::byte> all(bytes);
  rig.forwarder.forward(packet, all.first(34), all.subspan(34), 60);
  rig.forwarder.forward(packet, all.first(50), all.subspan(50), 60);
  EXPECT_EQ(rig.sent[0].captured, 40u);
  EXPECT_EQ(rig.sent[1].captured, 40u);
}

TEST(Forwarder, SamplesOneInN) {
  Rig rig({}, {.method = rpcap::SamplingMethod::kOneInN, .value = 3});
  for (int i = 0; i < 9; ++i) rig.feed(frame(6));
  EXPECT_EQ(rig.sent.size(), 3u);
  EXPECT_EQ(rig.forwarder.counts().sampled.value(), 6u);
}

TEST(Forwarder, SamplesOnceInNMillisecondsAlsoWhenTheClockIsSetBack) {
  Rig rig({}, {.method = rpcap::SamplingMethod::kOncePerNMillis, .value = 10});
  rig.feed(frame(6), 1'000'000);
  rig.feed(frame(6), 1'005'000);
  rig.feed(frame(6), 1'010'000);
  EXPECT_EQ(rig.sent.size(), 2u);
  rig.feed(frame(6), 500'000);
  EXPECT_EQ(rig.sent.size(), 3u);
}

TEST(Forwarder, TakesASamplingRateOfZeroAsEveryPacket) {
  Rig rig({}, {.method = rpcap::SamplingMethod::kOneInN, .value = 0});
  for (int i = 0; i < 4; ++i) rig.feed(frame(6));
  EXPECT_EQ(rig.sent.size(), 4u);
}

}  // namespace
}  // namespace sidetap::forwarding
