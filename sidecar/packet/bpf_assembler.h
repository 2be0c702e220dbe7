// Writes classic BPF programs for the kernel's socket filter (Linux: some loads ask for what only
// its kernel knows of a packet). Pure: the operation codes stand here, so that no system header is
// needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "shared/net/cidr.h"
#include "sidecar/packet/bpf.h"

namespace sidetap::capture {

/// What SKF_AD_PKTTYPE is of a packet that the interface sends (linux/if_packet.h).
inline constexpr std::uint32_t kPacketTypeOutgoing = 4;

/// Emits instructions; every test is followed by a long jump, since conditional jumps reach only
/// 255 instructions. All jumps go forward, as the kernel demands. Offsets are bytes from the start
/// of the packet; a load beyond its end ends the program and drops it.
class BpfAssembler {
 public:
  /// A place in the program, to be bound later.
  using Label = std::size_t;

  Label label();
  /// The next instruction is the label's.
  void bind(Label label);

  void load_byte(std::uint32_t at);
  void load_half(std::uint32_t at);
  void load_word(std::uint32_t at);
  void load_length();
  /// PACKET_OUTGOING and the like.
  void load_packet_type();
  /// Into X: the length of the IPv4 header at `at`.
  void load_ipv4_length(std::uint32_t at);
  /// As load_half(), after what X counts.
  void load_half_after_x(std::uint32_t at);
  void x_to_a();
  void mask(std::uint32_t bits);
  /// Ends the program: keep so many bytes of the packet, 0: drop it.
  void give(std::uint32_t bytes);

  void go(Label to);
  void if_equal(std::uint32_t value, Label to);
  void unless_equal(std::uint32_t value, Label to);
  void if_at_least(std::uint32_t value, Label to);
  void if_any_bit(std::uint32_t bits, Label to);
  /// Goes to `otherwise` unless the packet has `bytes` bytes.
  void unless_long(std::uint32_t bytes, Label otherwise);
  /// The same, after what X counts.
  void unless_long_after_x(std::uint32_t bytes, Label otherwise);
  /// Goes to `otherwise` unless the first `bits` bits of the word are those of `value`.
  void unless_word(std::uint32_t value, unsigned bits, std::uint32_t at, Label otherwise);
  /// The same for an address, in network byte order.
  void unless_in(const net::Cidr& prefix, std::uint32_t at, Label otherwise);

  /// Every label is bound.
  std::vector<BpfInstruction> finish() &&;

 private:
  void emit(unsigned code, std::uint32_t k);
  void test(unsigned condition, std::uint32_t value, Label to, bool wanted);

  std::vector<BpfInstruction> program_;
  std::vector<std::size_t> targets_;
  std::vector<std::pair<std::size_t, Label>> fixups_;
};

}  // namespace sidetap::capture
