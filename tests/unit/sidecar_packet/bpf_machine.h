// The kernel's machine for classic BPF, for tests of programs that look at the type of a packet.
#pragma once

#include <cstddef>
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
class BpfMachine {
 public:
  BpfMachine(const Bytes& packet, unsigned packet_type)
      : packet_(packet), packet_type_(packet_type) {}

  /// What the program returns: how many bytes of the packet are kept.
  std::uint32_t run(const std::vector<capture::BpfInstruction>& program) {
    for (std::size_t pc = 0; pc < program.size(); ++pc) {
      const capture::BpfInstruction& i = program[pc];
      switch (BPF_CLASS(i.code)) {
        case BPF_LD:
        case BPF_LDX:
          if (!load(i)) return 0;
          break;
        case BPF_ALU:
        case BPF_MISC:
          calculate(i);
          break;
        case BPF_JMP:
          pc += jump(i);
          break;
        default:
          if (i.code != (BPF_RET | BPF_K)) refuse(i);
          return refused_ ? 0 : i.k;
      }
      if (refused_) return 0;
    }
    ADD_FAILURE() << "ran off the end";
    return 0;
  }

 private:
  void refuse(const capture::BpfInstruction& i) {
    ADD_FAILURE() << "unknown instruction " << i.code;
    refused_ = true;
  }
  std::optional<std::uint32_t> at(std::uint64_t offset, unsigned size) const {
    if (offset + size > packet_.size()) return std::nullopt;
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i)
      value = value << 8 | std::to_integer<std::uint32_t>(packet_[offset + i]);
    return value;
  }
  static unsigned size_of(unsigned code) {
    return BPF_SIZE(code) == BPF_W ? 4U : BPF_SIZE(code) == BPF_H ? 2U : 1U;
  }
  /// Whether there was what is to be loaded.
  bool load(const capture::BpfInstruction& i) {
    std::optional<std::uint32_t> loaded;
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_LEN:
        loaded = static_cast<std::uint32_t>(packet_.size());
        break;
      case BPF_LD | BPF_B | BPF_ABS:
      case BPF_LD | BPF_H | BPF_ABS:
      case BPF_LD | BPF_W | BPF_ABS:
        if (i.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE))
          loaded = packet_type_;
        else
          loaded = at(i.k, size_of(i.code));
        break;
      case BPF_LD | BPF_H | BPF_IND:
        loaded = at(std::uint64_t{x_} + i.k, 2);
        break;
      case BPF_LDX | BPF_B | BPF_MSH:
        loaded = at(i.k, 1);
        if (loaded) x_ = (*loaded & 0xf) * 4;
        return loaded.has_value();
      default:
        refuse(i);
    }
    if (loaded) a_ = *loaded;
    return loaded.has_value();
  }
  void calculate(const capture::BpfInstruction& i) {
    switch (i.code) {
      case BPF_ALU | BPF_AND | BPF_K:
        a_ &= i.k;
        break;
      case BPF_ALU | BPF_ADD | BPF_K:
        a_ += i.k;
        break;
      case BPF_MISC | BPF_TXA:
        a_ = x_;
        break;
      case BPF_MISC | BPF_TAX:
        x_ = a_;
        break;
      default:
        refuse(i);
    }
  }
  /// How many instructions are left out.
  std::uint32_t jump(const capture::BpfInstruction& i) {
    switch (i.code) {
      case BPF_JMP | BPF_JA:
        return i.k;
      case BPF_JMP | BPF_JEQ | BPF_K:
        return a_ == i.k ? i.jt : i.jf;
      case BPF_JMP | BPF_JSET | BPF_K:
        return (a_ & i.k) != 0 ? i.jt : i.jf;
      case BPF_JMP | BPF_JGE | BPF_K:
        return a_ >= i.k ? i.jt : i.jf;
      case BPF_JMP | BPF_JGE | BPF_X:
        return a_ >= x_ ? i.jt : i.jf;
      default:
        refuse(i);
        return 0;
    }
  }

  const Bytes& packet_;
  const unsigned packet_type_;
  std::uint32_t a_ = 0;
  std::uint32_t x_ = 0;
  bool refused_ = false;  ///< An instruction that it does not know.
};

inline std::uint32_t run_bpf(const std::vector<capture::BpfInstruction>& program,
                             const Bytes& packet, unsigned packet_type) {
  return BpfMachine(packet, packet_type).run(program);
}

}  // namespace sidetap::test
