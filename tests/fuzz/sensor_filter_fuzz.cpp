// Runs any filter of a sensor on any packet. An accepted filter reads nothing out of bounds and
// ends, because it only jumps forward.
//
// Input: number of instructions, the instructions as they are on the wire (code, jt, jf, k), then
// the packet.
#include <cstdlib>
#include <vector>

#include <pcap/bpf.h>

#include "sidecar/forwarding/forwarder.h"

namespace {

using namespace sidetap;

std::uint32_t number(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint32_t>(byte);
  return value;
}

std::vector<rpcap::BpfInstruction> read_program(std::span<const std::byte>& input) {
  constexpr std::size_t kInstruction = 8;
  std::size_t count = number(input.first(1));
  input = input.subspan(1);
  std::vector<rpcap::BpfInstruction> program;
  for (; count != 0 && input.size() >= kInstruction; --count) {
    program.push_back({.code = static_cast<std::uint16_t>(number(input.first(2))),
                       .jt = std::to_integer<std::uint8_t>(input[2]),
                       .jf = std::to_integer<std::uint8_t>(input[3]),
                       .k = number(input.subspan(4, 4))});
    input = input.subspan(kInstruction);
  }
  return program;
}

/// With the sum taken as the machine takes it, in 32 bits.
void require_forward(const std::vector<rpcap::BpfInstruction>& program) {
  for (std::uint32_t at = 0; at < program.size(); ++at) {
    const auto& instruction = program[at];
    if (BPF_CLASS(instruction.code) != BPF_JMP) continue;
    const bool always = BPF_OP(instruction.code) == BPF_JA;
    for (const std::uint32_t by : {always ? instruction.k : std::uint32_t{instruction.jt},
                                   always ? instruction.k : std::uint32_t{instruction.jf}}) {
      const std::uint32_t to = at + 1 + by;
      if (to <= at || to >= program.size()) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto input = std::as_bytes(std::span(data, size));
  if (input.empty()) return 0;
  const auto program = read_program(input);
  const auto filter = forwarding::SensorFilter::make(program);
  if (!filter) return 0;
  require_forward(program);
  // A copy of the exact size, so that the sanitizer detects reads past the end.
  const std::vector<std::byte> packet(input.begin(), input.end());
  (void)filter->passes(packet, static_cast<std::uint32_t>(packet.size()));
  (void)filter->passes(packet, static_cast<std::uint32_t>(packet.size()) + 1000);
  return 0;
}
