#include "sidecar/packet/bpf_assembler.h"

#include <algorithm>
#include <array>

namespace sidetap::capture {
namespace {

// Operation codes from linux/filter.h and linux/bpf_common.h.
enum Class : unsigned { kLd = 0x00, kLdx = 0x01, kAlu = 0x04, kJmp = 0x05, kRet = 0x06, kMisc = 7 };
enum Size : unsigned { kWord = 0x00, kHalf = 0x08, kByte = 0x10 };
enum Mode : unsigned { kAbs = 0x20, kInd = 0x40, kLen = 0x80, kMsh = 0xa0 };
enum Operation : unsigned { kAdd = 0x00, kAnd = 0x50 };
enum Condition : unsigned { kAlways = 0x00, kEqual = 0x10, kAtLeast = 0x30, kAnyBit = 0x40 };
enum Operand : unsigned { kConstant = 0x00, kX = 0x08 };
enum Transfer : unsigned { kAToX = 0x00, kXToA = 0x80 };

// SKF_AD_OFF + SKF_AD_PKTTYPE: not an offset in the packet, but metadata of the kernel.
constexpr std::uint32_t kPacketTypeAt = static_cast<std::uint32_t>(-0x1000 + 4);

/// The parts belong to different enumerations.
template <typename... Part>
constexpr unsigned code(Part... part) {
  return (static_cast<unsigned>(part) | ...);
}

}  // namespace

BpfAssembler::Label BpfAssembler::label() {
  targets_.push_back(0);
  return targets_.size() - 1;
}

void BpfAssembler::bind(Label label) { targets_[label] = program_.size(); }

void BpfAssembler::load_byte(std::uint32_t at) { emit(code(kLd, kByte, kAbs), at); }
void BpfAssembler::load_half(std::uint32_t at) { emit(code(kLd, kHalf, kAbs), at); }
void BpfAssembler::load_word(std::uint32_t at) { emit(code(kLd, kWord, kAbs), at); }
void BpfAssembler::load_length() { emit(code(kLd, kWord, kLen), 0); }
void BpfAssembler::load_packet_type() { load_byte(kPacketTypeAt); }
void BpfAssembler::load_ipv4_length(std::uint32_t at) { emit(code(kLdx, kByte, kMsh), at); }
void BpfAssembler::load_half_after_x(std::uint32_t at) { emit(code(kLd, kHalf, kInd), at); }
void BpfAssembler::x_to_a() { emit(code(kMisc, kXToA), 0); }
void BpfAssembler::mask(std::uint32_t bits) { emit(code(kAlu, kAnd, kConstant), bits); }
void BpfAssembler::give(std::uint32_t bytes) { emit(code(kRet, kConstant), bytes); }

void BpfAssembler::go(Label to) {
  fixups_.emplace_back(program_.size(), to);
  emit(code(kJmp, kAlways), 0);
}

void BpfAssembler::if_equal(std::uint32_t value, Label to) { test(kEqual, value, to, true); }
void BpfAssembler::unless_equal(std::uint32_t value, Label to) { test(kEqual, value, to, false); }
void BpfAssembler::if_at_least(std::uint32_t value, Label to) { test(kAtLeast, value, to, true); }
void BpfAssembler::if_any_bit(std::uint32_t bits, Label to) { test(kAnyBit, bits, to, true); }

void BpfAssembler::unless_long(std::uint32_t bytes, Label otherwise) {
  const Label enough = label();
  load_length();
  if_at_least(bytes, enough);
  go(otherwise);
  bind(enough);
}

void BpfAssembler::unless_long_after_x(std::uint32_t bytes, Label otherwise) {
  x_to_a();
  emit(code(kAlu, kAdd, kConstant), bytes);
  emit(code(kMisc, kAToX), 0);
  load_length();
  emit(code(kJmp, kAtLeast, kX), 0);
  program_.back().jt = 1;
  go(otherwise);
}

void BpfAssembler::unless_word(std::uint32_t value, unsigned bits, std::uint32_t at,
                               Label otherwise) {
  if (bits == 0) return;
  load_word(at);
  if (bits < 32) mask(~0U << (32 - bits));
  unless_equal(value, otherwise);
}

void BpfAssembler::unless_in(const net::Cidr& prefix, std::uint32_t at, Label otherwise) {
  const net::IpAddress first = prefix.first();
  if (prefix.is_v4()) {
    unless_word(first.v4_bits(), prefix.length(), at, otherwise);
    return;
  }
  const std::array<std::uint32_t, 4> words{
      static_cast<std::uint32_t>(first.high() >> 32), static_cast<std::uint32_t>(first.high()),
      static_cast<std::uint32_t>(first.low() >> 32), static_cast<std::uint32_t>(first.low())};
  // The last word distinguishes hosts best, so compare it first.
  for (unsigned i = 4; i-- > 0;) {
    const unsigned bits = prefix.length() > i * 32 ? std::min(prefix.length() - i * 32, 32U) : 0;
    unless_word(words[i], bits, at + i * 4, otherwise);
  }
}

std::vector<BpfInstruction> BpfAssembler::finish() && {
  for (const auto& [at, label] : fixups_) {
    program_[at].k = static_cast<std::uint32_t>(targets_[label] - at - 1);
  }
  return std::move(program_);
}

void BpfAssembler::emit(unsigned operation, std::uint32_t k) {
  program_.push_back({static_cast<std::uint16_t>(operation), 0, 0, k});
}

void BpfAssembler::test(unsigned condition, std::uint32_t value, Label to, bool wanted) {
  emit(code(kJmp, condition, kConstant), value);
  (wanted ? program_.back().jf : program_.back().jt) = 1;
  go(to);
}

}  // namespace sidetap::capture
