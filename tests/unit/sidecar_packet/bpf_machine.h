// The kernel's machine for classic BPF, for tests of programs that look at the type of a packet.
#pragma once

#include <array>
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

/// The kernel's rules: a load past the end drops, offsets from SKF_AD_OFF on are metadata.
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
        case BPF_ST:
          memory_.at(i.k) = a_;
          break;
        case BPF_STX:
          memory_.at(i.k) = x_;
          break;
        case BPF_ALU:
          if (!calculate(i)) return 0;
          break;
        case BPF_MISC:
          BPF_MISCOP(i.code) == BPF_TXA ? a_ = x_ : x_ = a_;
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
  /// Of a packet without a link layer, as the kernel knows it besides.
  std::uint32_t protocol() const {
    return !packet_.empty() && (packet_[0] >> 4) == std::byte{6} ? 0x86ddU : 0x0800U;
  }
  static unsigned size_of(unsigned code) {
    return BPF_SIZE(code) == BPF_W ? 4U : BPF_SIZE(code) == BPF_H ? 2U : 1U;
  }
  /// Whether there was what is to be loaded.
  bool load(const capture::BpfInstruction& i) {
    std::optional<std::uint32_t> loaded;
    switch (BPF_MODE(i.code)) {
      case BPF_LEN:
        loaded = static_cast<std::uint32_t>(packet_.size());
        break;
      case BPF_IMM:
        loaded = i.k;
        break;
      case BPF_MEM:
        loaded = memory_.at(i.k);
        break;
      case BPF_ABS:
        if (i.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE))
          loaded = packet_type_;
        else if (i.k == static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL))
          loaded = protocol();
        else
          loaded = at(i.k, size_of(i.code));
        break;
      case BPF_IND:
        loaded = at(std::uint64_t{x_} + i.k, size_of(i.code));
        break;
      case BPF_MSH:
        loaded = at(i.k, 1);
        if (loaded) loaded = (*loaded & 0xf) * 4;
        break;
      default:
        refuse(i);
    }
    if (loaded) (BPF_CLASS(i.code) == BPF_LD ? a_ : x_) = *loaded;
    return loaded.has_value();
  }
  /// False: a division by zero, which drops.
  bool calculate(const capture::BpfInstruction& i) {
    const std::uint32_t operand = BPF_SRC(i.code) == BPF_X ? x_ : i.k;
    switch (BPF_OP(i.code)) {
      case BPF_ADD:
        a_ += operand;
        break;
      case BPF_SUB:
        a_ -= operand;
        break;
      case BPF_MUL:
        a_ *= operand;
        break;
      case BPF_DIV:
      case BPF_MOD:
        if (operand == 0) return false;
        a_ = BPF_OP(i.code) == BPF_DIV ? a_ / operand : a_ % operand;
        break;
      case BPF_AND:
        a_ &= operand;
        break;
      case BPF_OR:
        a_ |= operand;
        break;
      case BPF_XOR:
        a_ ^= operand;
        break;
      case BPF_LSH:
        a_ = operand < 32 ? a_ << operand : 0;
        break;
      case BPF_RSH:
        a_ = operand < 32 ? a_ >> operand : 0;
        break;
      case BPF_NEG:
        a_ = 0 - a_;
        break;
      default:
        refuse(i);
    }
    return true;
  }
  /// How many instructions are left out.
  std::uint32_t jump(const capture::BpfInstruction& i) {
    const std::uint32_t operand = BPF_SRC(i.code) == BPF_X ? x_ : i.k;
    switch (BPF_OP(i.code)) {
      case BPF_JA:
        return i.k;
      case BPF_JEQ:
        return a_ == operand ? i.jt : i.jf;
      case BPF_JSET:
        return (a_ & operand) != 0 ? i.jt : i.jf;
      case BPF_JGE:
        return a_ >= operand ? i.jt : i.jf;
      case BPF_JGT:
        return a_ > operand ? i.jt : i.jf;
      default:
        refuse(i);
        return 0;
    }
  }

  const Bytes& packet_;
  const unsigned packet_type_;
  std::uint32_t a_ = 0;
  std::uint32_t x_ = 0;
  std::array<std::uint32_t, BPF_MEMWORDS> memory_{};
  bool refused_ = false;  ///< An instruction that it does not know.
};

inline std::uint32_t run_bpf(const std::vector<capture::BpfInstruction>& program,
                             const Bytes& packet, unsigned packet_type) {
  return BpfMachine(packet, packet_type).run(program);
}

}  // namespace sidetap::test
