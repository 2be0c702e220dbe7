// The kernel's machine for classic BPF, for tests of programs that look at the type of a packet.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/if_packet.h>

#include "sidecar/packet/bpf.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::test {

inline constexpr unsigned kPacketHost = PACKET_HOST, kPacketBroadcast = PACKET_BROADCAST,
                          kPacketMulticast = PACKET_MULTICAST, kPacketOtherHost = PACKET_OTHERHOST,
                          kPacketOutgoing = PACKET_OUTGOING;

/// The kernel's rules: a load past the end drops, negative offsets are ancillary data.
inline std::uint32_t run_bpf(const std::vector<capture::BpfInstruction>& program,
                             const Bytes& packet, unsigned packet_type) {
  std::uint32_t a = 0, x = 0;
  const auto load = [&](std::uint64_t at, unsigned size) -> std::optional<std::uint32_t> {
    if (at + size > packet.size()) return std::nullopt;
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value = value << 8 | std::to_integer<std::uint32_t>(packet[at + i]);
    }
    return value;
  };
  const auto size_of = [](unsigned code) {
    return BPF_SIZE(code) == BPF_W ? 4U : BPF_SIZE(code) == BPF_H ? 2U : 1U;
  };
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const capture::BpfInstruction& i = program[pc];
    std::optional<std::uint32_t> loaded;
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_LEN:
        a = static_cast<std::uint32_t>(packet.size());
        continue;
      case BPF_LD | BPF_B | BPF_ABS:
      case BPF_LD | BPF_H | BPF_ABS:
      case BPF_LD | BPF_W | BPF_ABS:
        if (i.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)) {
          a = packet_type;
          continue;
        }
        loaded = load(i.k, size_of(i.code));
        if (!loaded) return 0;
        a = *loaded;
        continue;
      case BPF_LD | BPF_H | BPF_IND:
        loaded = load(std::uint64_t{x} + i.k, 2);
        if (!loaded) return 0;
        a = *loaded;
        continue;
      case BPF_LDX | BPF_B | BPF_MSH:
        loaded = load(i.k, 1);
        if (!loaded) return 0;
        x = (*loaded & 0xf) * 4;
        continue;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= i.k;
        continue;
      case BPF_ALU | BPF_ADD | BPF_K:
        a += i.k;
        continue;
      case BPF_MISC | BPF_TXA:
        a = x;
        continue;
      case BPF_MISC | BPF_TAX:
        x = a;
        continue;
      case BPF_JMP | BPF_JA:
        pc += i.k;
        continue;
      case BPF_JMP | BPF_JEQ | BPF_K:
        pc += a == i.k ? i.jt : i.jf;
        continue;
      case BPF_JMP | BPF_JSET | BPF_K:
        pc += (a & i.k) != 0 ? i.jt : i.jf;
        continue;
      case BPF_JMP | BPF_JGE | BPF_K:
        pc += a >= i.k ? i.jt : i.jf;
        continue;
      case BPF_JMP | BPF_JGE | BPF_X:
        pc += a >= x ? i.jt : i.jf;
        continue;
      case BPF_RET | BPF_K:
        return i.k;
      default:
        ADD_FAILURE() << "unknown instruction " << i.code;
        return 0;
    }
  }
  ADD_FAILURE() << "ran off the end";
  return 0;
}

}  // namespace sidetap::test
