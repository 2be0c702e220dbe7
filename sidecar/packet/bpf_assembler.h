// Writes classic BPF programs for the kernel's socket filter. Linux only: some loads read metadata
// that only its kernel has. Pure: the operation codes are defined here, without system headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "shared/net/cidr.h"
#include "sidecar/packet/bpf.h"

namespace sidetap::capture {

/// The value of SKF_AD_PKTTYPE for a packet that the interface sends (linux/if_packet.h).
inline constexpr std::uint32_t kPacketTypeOutgoing = 4;

/// Emits instructions. A long jump follows every test, because conditional jumps reach only 255
/// instructions. All jumps go forward, as the kernel requires. Offsets are in bytes from the start
/// of the packet. A load beyond the packet's end ends the program and drops the packet.
class BpfAssembler {
 public:
  /// A position in the program, bound later.
  using Label = std::size_t;

  Label label();
  /// Binds the label to the next instruction.
  void bind(Label label);

  void load_byte(std::uint32_t at);
  void load_half(std::uint32_t at);
  void load_word(std::uint32_t at);
  void load_length();
  /// Loads PACKET_OUTGOING and the like.
  void load_packet_type();
  /// Loads the length of the IPv4 header at `at` into X.
  void load_ipv4_length(std::uint32_t at);
  /// Like load_half(), at offset X + `at`.
  void load_half_after_x(std::uint32_t at);
  void x_to_a();
  void mask(std::uint32_t bits);
  /// Ends the program: keeps `bytes` bytes of the packet, or drops it if 0.
  void give(std::uint32_t bytes);

  void go(Label to);
  void if_equal(std::uint32_t value, Label to);
  void unless_equal(std::uint32_t value, Label to);
  void if_at_least(std::uint32_t value, Label to);
  void if_any_bit(std::uint32_t bits, Label to);
  /// Jumps to `otherwise` unless the packet has at least `bytes` bytes.
  void unless_long(std::uint32_t bytes, Label otherwise);
  /// The same, with X added to `bytes`.
  void unless_long_after_x(std::uint32_t bytes, Label otherwise);
  /// Jumps to `otherwise` unless the first `bits` bits of the word at `at` are those of `value`.
  void unless_word(std::uint32_t value, unsigned bits, std::uint32_t at, Label otherwise);
  /// The same for an address in network byte order.
  void unless_in(const net::Cidr& prefix, std::uint32_t at, Label otherwise);

  /// Returns the program. Every label must be bound.
  std::vector<BpfInstruction> finish() &&;

 private:
  void emit(unsigned code, std::uint32_t k);
  void test(unsigned condition, std::uint32_t value, Label to, bool wanted);

  std::vector<BpfInstruction> program_;
  std::vector<std::size_t> targets_;
  std::vector<std::pair<std::size_t, Label>> fixups_;
};

}  // namespace sidetap::capture
