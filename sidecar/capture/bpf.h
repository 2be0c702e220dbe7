// One instruction of a classic BPF program, as plain data that needs no system header.
#pragma once

#include <cstdint>

namespace sidetap::capture {

/// Layout and meaning of the kernel's sock_filter (linux/filter.h) and of libpcap's bpf_insn.
struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jt = 0;
  std::uint8_t jf = 0;
  std::uint32_t k = 0;
  friend bool operator==(const BpfInstruction&, const BpfInstruction&) = default;
};

/// The kernel refuses longer programs (BPF_MAXINSNS).
inline constexpr unsigned kMaxBpfInstructions = 4096;

}  // namespace sidetap::capture
