#include "sidecar/capture/kernel_filter.h"

#include <algorithm>
#include <string>
#include <utility>

#include <linux/filter.h>
#include <linux/if_packet.h>

namespace sidetap::capture {
namespace {

constexpr unsigned kMaxFilter = kMaxBpfInstructions - kSourceBpfInstructions;

using Mac = std::array<std::byte, 6>;

/// A place in the program, to be bound later. All jumps go forward, as the kernel demands.
using Label = std::size_t;

/// Emits instructions; every test is followed by a long jump, since conditional jumps reach only
/// 255 instructions.
class Assembler {
 public:
  Label label() {
    targets_.push_back(0);
    return targets_.size() - 1;
  }
  void bind(Label label) { targets_[label] = program_.size(); }

  void load_byte(std::uint32_t at) { emit(BPF_LD | BPF_B | BPF_ABS, at); }
  void load_half(std::uint32_t at) { emit(BPF_LD | BPF_H | BPF_ABS, at); }
  void load_word(std::uint32_t at) { emit(BPF_LD | BPF_W | BPF_ABS, at); }
  void load_half_after_ipv4(std::uint32_t at) { emit(BPF_LD | BPF_H | BPF_IND, at); }
  void load_ipv4_length(std::uint32_t at) { emit(BPF_LDX | BPF_B | BPF_MSH, at); }
  void load_packet_type() {
    emit(BPF_LD | BPF_B | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE));
  }
  void mask(std::uint32_t bits) { emit(BPF_ALU | BPF_AND | BPF_K, bits); }
  void give(std::uint32_t bytes) { emit(BPF_RET | BPF_K, bytes); }

  void go(Label to) {
    fixups_.emplace_back(program_.size(), to);
    emit(BPF_JMP | BPF_JA, 0);
  }
  void if_equal(std::uint32_t value, Label to) { test(BPF_JEQ, value, to, true); }
  void unless_equal(std::uint32_t value, Label to) { test(BPF_JEQ, value, to, false); }
  void if_at_least(std::uint32_t value, Label to) { test(BPF_JGE, value, to, true); }
  /// Goes to `otherwise` unless the packet has `bytes` bytes after what X counts.
  void unless_long_enough_after_x(std::uint32_t bytes, Label otherwise) {
    emit(BPF_MISC | BPF_TXA, 0);
    emit(BPF_ALU | BPF_ADD | BPF_K, bytes);
    emit(BPF_MISC | BPF_TAX, 0);
    emit(BPF_LD | BPF_W | BPF_LEN, 0);
    emit(BPF_JMP | BPF_JGE | BPF_X, 0);
    program_.back().jt = 1;
    go(otherwise);
  }
  void x_to_a() { emit(BPF_MISC | BPF_TXA, 0); }
  void load_length() { emit(BPF_LD | BPF_W | BPF_LEN, 0); }
  void if_any_bit(std::uint32_t bits, Label to) { test(BPF_JSET, bits, to, true); }

  std::vector<BpfInstruction> finish() && {
    for (const auto& [at, label] : fixups_) {
      program_[at].k = static_cast<std::uint32_t>(targets_[label] - at - 1);
    }
    return std::move(program_);
  }

 private:
  void emit(unsigned code, std::uint32_t k) {
    program_.push_back({static_cast<std::uint16_t>(code), 0, 0, k});
  }
  void test(unsigned condition, std::uint32_t value, Label to, bool wanted) {
    emit(BPF_JMP | condition | BPF_K, value);
    (wanted ? program_.back().jf : program_.back().jt) = 1;
    go(to);
  }

  std::vector<BpfInstruction> program_;
  std::vector<std::size_t> targets_;
  std::vector<std::pair<std::size_t, Label>> fixups_;
};

/// What is left out when the program would not fit.
struct Parts {
  bool strangers = true;
  bool peers = true;
};

class FilterBuilder {
 public:
  FilterBuilder(const FilterConfig& config, Parts parts)
      : config_(config),
        parts_(parts),
        ethernet_(config.link == LinkType::kEthernet),
        net_(ethernet_ ? 14 : 0) {}

  std::vector<BpfInstruction> build() && {
    const Label v4 = out_.label();
    const Label v6 = out_.label();
    if (ethernet_) {
      pass_unless_long(14);
      out_.load_half(12);
      out_.if_equal(0x0800, v4);
      out_.if_equal(0x86dd, v6);
      // Tags that the kernel left in the packet hide what it is: the process looks.
      for (const std::uint32_t vlan : {0x8100U, 0x88a8U, 0x9100U}) out_.if_equal(vlan, pass_);
      drop_echo_by_sender();
      drop_echo_by_mac();
      out_.go(pass_);
    } else {
      pass_unless_long(1);
      out_.load_byte(0);
      out_.mask(0xf0);
      out_.if_equal(0x40, v4);
      out_.if_equal(0x60, v6);
      out_.go(pass_);
    }
    out_.bind(v4);
    family(true);
    out_.bind(v6);
    family(false);
    out_.bind(pass_);
    out_.give(config_.accept_bytes);
    out_.bind(drop_);
    out_.give(0);
    return std::move(out_).finish();
  }

 private:
  std::uint32_t source(bool v4) const { return net_ + (v4 ? 12 : 8); }
  std::uint32_t destination(bool v4) const { return net_ + (v4 ? 16 : 24); }

  void address_unless(net::IpAddress address, std::uint32_t at, Label otherwise) {
    prefix_unless(net::Cidr::host(address), at, otherwise);
  }

  void prefix_unless(const net::Cidr& prefix, std::uint32_t at, Label otherwise) {
    const net::IpAddress first = prefix.first();
    if (prefix.is_v4()) {
      word_unless(first.v4_bits(), prefix.length(), at, otherwise);
      return;
    }
    const std::array<std::uint32_t, 4> words{
        static_cast<std::uint32_t>(first.high() >> 32), static_cast<std::uint32_t>(first.high()),
        static_cast<std::uint32_t>(first.low() >> 32), static_cast<std::uint32_t>(first.low())};
    // The last word tells hosts apart, so it comes first.
    for (unsigned i = 4; i-- > 0;) {
      const unsigned bits = prefix.length() > i * 32 ? std::min(prefix.length() - i * 32, 32U) : 0;
      word_unless(words[i], bits, at + i * 4, otherwise);
    }
  }

  void word_unless(std::uint32_t value, unsigned bits, std::uint32_t at, Label otherwise) {
    if (bits == 0) return;
    out_.load_word(at);
    if (bits < 32) out_.mask(~0U << (32 - bits));
    out_.unless_equal(value, otherwise);
  }

  /// A load beyond the packet's end would drop it; malformed packets are the process's to judge.
  void pass_unless_long(std::uint32_t bytes) { length_unless(bytes, pass_); }

  void source_mac_unless(const Mac& mac, Label otherwise) {
    const auto byte = [&mac](unsigned i) { return std::to_integer<std::uint32_t>(mac[i]); };
    out_.load_word(6);
    out_.unless_equal(byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3), otherwise);
    out_.load_half(10);
    out_.unless_equal(byte(4) << 8 | byte(5), otherwise);
  }

  bool has_mac() const { return ethernet_ && config_.mac != Mac{}; }

  /// Non-IP frames from this pod's MAC address that come in.
  void drop_echo_by_mac() {
    if (!has_mac()) return;
    source_mac_unless(config_.mac, pass_);
    const Label arp = out_.label();
    out_.load_half(12);
    out_.if_equal(0x0806, arp);
    drop_echo();
    out_.go(pass_);
    // Siblings on ipvlan share the MAC address, so ARP is told by its sender.
    out_.bind(arp);
    pass_unless_long(14 + 28);
    const Label mine = out_.label();
    out_.load_word(14 + 14);
    out_.if_equal(0, mine);
    for (net::IpAddress address : config_.self) {
      if (address.is_v4()) out_.if_equal(address.v4_bits(), mine);
    }
    out_.go(pass_);
    out_.bind(mine);
    drop_echo();
    out_.go(pass_);
  }

  /// Frames that come in from a MAC address that is this pod's alone.
  void drop_echo_by_sender() {
    if (!ethernet_ || config_.senders.empty()) return;
    const Label sent = out_.label();
    out_.load_packet_type();
    out_.if_equal(PACKET_OUTGOING, sent);
    for (const Mac& mac : config_.senders) {
      const Label next = out_.label();
      source_mac_unless(mac, next);
      out_.go(drop_);
      out_.bind(next);
    }
    out_.bind(sent);
  }

  /// Whatever comes in: a bridge in hairpin mode returns what it floods, and of unknown receivers
  /// unicast as well, which the kernel calls somebody else's (PACKET_OTHERHOST).
  void drop_echo() {
    out_.load_packet_type();
    out_.unless_equal(PACKET_OUTGOING, drop_);
  }

  void family(bool v4) {
    pass_unless_long(net_ + (v4 ? 20 : 40));
    const Label version_fits = out_.label();
    out_.load_byte(net_);
    out_.mask(0xf0);
    out_.if_equal(v4 ? 0x40 : 0x60, version_fits);
    out_.go(pass_);
    out_.bind(version_fits);
    for (const OwnEndpoint& own : config_.own) own_traffic(own, v4);
    if (config_.self.empty()) {
      out_.go(pass_);
      return;
    }
    const Label from_self = out_.label();
    const Label to_self = out_.label();
    match_self(source(v4), v4, from_self);
    if (parts_.strangers) {
      match_self(destination(v4), v4, to_self);
      strangers(v4);
    } else {
      out_.go(pass_);
    }
    out_.bind(from_self);
    // To itself, through a Service and back.
    match_self(destination(v4), v4, pass_);
    if (!v4) pass_mapped(destination(v4));
    if (ethernet_) drop_echo();
    peers(destination(v4), v4);
    out_.go(pass_);
    out_.bind(to_self);
    peers(source(v4), v4);
    out_.go(pass_);
  }

  void match_self(std::uint32_t at, bool v4, Label matched) {
    for (net::IpAddress address : config_.self) {
      if (address.is_v4() != v4) continue;
      const Label next = out_.label();
      address_unless(address, at, next);
      out_.go(matched);
      out_.bind(next);
    }
  }

  /// Where the loopback interface is captured, a sensor in the pod is reached by it.
  void match_loopback(std::uint32_t at, bool v4, Label matched) {
    const Label next = out_.label();
    if (v4) {
      word_unless(0x7f000000, 8, at, next);
    } else {
      address_unless(net::IpAddress::v6(0, 1), at, next);
    }
    out_.go(matched);
    out_.bind(next);
  }

  /// Multicast and broadcast have rules of their own.
  void pass_group(bool v4) {
    if (ethernet_) {
      out_.load_byte(0);
      out_.if_any_bit(1, pass_);
    }
    if (!v4) {
      out_.load_byte(destination(v4));
      out_.if_equal(0xff, pass_);
      return;
    }
    out_.load_word(destination(v4));
    out_.if_equal(0xffffffffU, pass_);
    for (net::IpAddress broadcast : config_.broadcasts) {
      if (broadcast.is_v4()) out_.if_equal(broadcast.v4_bits(), pass_);
    }
    out_.mask(0xf0000000U);
    out_.if_equal(0xe0000000U, pass_);
  }

  /// IPv4-mapped addresses: the process looks closer.
  void pass_mapped(std::uint32_t at) {
    const Label telling = out_.label();
    out_.load_word(at);
    out_.unless_equal(0, telling);
    out_.load_word(at + 4);
    out_.if_equal(0, pass_);
    out_.bind(telling);
  }

  /// Neither end is self: only group traffic and senders that have no address yet may matter.
  void strangers(bool v4) {
    if (!v4) pass_mapped(destination(v4));
    drop_echo_by_sender();
    nameless(v4);
    pass_group(v4);
    if (!v4) pass_mapped(source(v4));
    out_.go(drop_);
  }

  /// Senders without an address yet (DHCP, duplicate address detection) are told by MAC address.
  void nameless(bool v4) {
    const Label named = out_.label();
    for (std::uint32_t word = 0; word < (v4 ? 1U : 4U); ++word) {
      out_.load_word(source(v4) + word * 4);
      out_.unless_equal(0, named);
    }
    if (has_mac()) {
      source_mac_unless(config_.mac, pass_);
      drop_echo();
    }
    out_.go(pass_);
    out_.bind(named);
  }

  void peers(std::uint32_t at, bool v4) {
    if (!parts_.peers || config_.unowned_peers.empty()) return;
    pass_group(v4);
    if (!v4) {
      // Neighbour discovery too; behind extension headers it could hide, so those pass.
      const Label plain = out_.label();
      out_.load_byte(net_ + 6);
      out_.if_equal(6, plain);
      out_.if_equal(17, plain);
      out_.go(pass_);
      out_.bind(plain);
    }
    for (const net::Cidr& prefix : config_.unowned_peers) {
      if (prefix.is_v4() != v4) continue;
      const Label next = out_.label();
      prefix_unless(prefix, at, next);
      out_.go(drop_);
      out_.bind(next);
    }
  }

  void own_traffic(const OwnEndpoint& own, bool v4) {
    const auto other_family = [v4](net::IpAddress address) {
      return !address.is_unspecified() && address.is_v4() != v4;
    };
    if (other_family(own.local) || other_family(own.remote)) return;
    one_way(own, true, v4);
    one_way(own, false, v4);
  }

  void one_way(const OwnEndpoint& own, bool sent, bool v4) {
    const auto number = static_cast<std::uint32_t>(own.protocol);
    const std::uint32_t need = own.protocol == IpProtocol::kTcp ? 14 : 4;
    const std::uint16_t local_port = own.matched_local_port();
    const std::uint16_t from_port = sent ? local_port : own.remote_port;
    const std::uint16_t to_port = sent ? own.remote_port : local_port;
    const std::uint32_t local = sent ? source(v4) : destination(v4);
    const std::uint32_t remote = sent ? destination(v4) : source(v4);
    const bool fragments = !own.remote.is_unspecified();
    const Label next = out_.label();
    if (own.local.is_unspecified()) {
      const Label mine = out_.label();
      match_self(local, v4, mine);
      match_loopback(local, v4, mine);
      out_.go(next);
      out_.bind(mine);
    } else {
      address_unless(own.local, local, next);
    }
    if (!own.remote.is_unspecified()) address_unless(own.remote, remote, next);
    if (v4) {
      out_.load_byte(net_ + 9);
      out_.unless_equal(number, next);
      later_fragment_goes(net_ + 6, 0x1fff, fragments ? drop_ : next);
      // As the parser: a header too short to be one, or ports cut off, say nothing.
      const Label whole = out_.label();
      out_.load_ipv4_length(net_);
      out_.x_to_a();
      out_.if_at_least(20, whole);
      out_.go(next);
      out_.bind(whole);
      out_.unless_long_enough_after_x(net_ + need, next);
      out_.load_ipv4_length(net_);
      port_unless(from_port, true, net_, next);
      port_unless(to_port, true, net_ + 2, next);
      out_.go(drop_);
    } else {
      const Label plain = out_.label();
      out_.load_byte(net_ + 6);
      out_.if_equal(number, plain);
      out_.unless_equal(44, next);
      length_unless(net_ + 48, next);
      out_.load_byte(net_ + 40);
      out_.unless_equal(number, next);
      later_fragment_goes(net_ + 42, 0xfff8, fragments ? drop_ : next);
      length_unless(net_ + 48 + need, next);
      port_unless(from_port, false, net_ + 48, next);
      port_unless(to_port, false, net_ + 50, next);
      out_.go(drop_);
      out_.bind(plain);
      length_unless(net_ + 40 + need, next);
      port_unless(from_port, false, net_ + 40, next);
      port_unless(to_port, false, net_ + 42, next);
      out_.go(drop_);
    }
    out_.bind(next);
  }

  void length_unless(std::uint32_t bytes, Label otherwise) {
    const Label enough = out_.label();
    out_.load_length();
    out_.if_at_least(bytes, enough);
    out_.go(otherwise);
    out_.bind(enough);
  }

  void later_fragment_goes(std::uint32_t at, std::uint32_t offset_bits, Label where) {
    out_.load_half(at);
    out_.if_any_bit(offset_bits, where);
  }

  void port_unless(std::uint16_t port, bool after_ipv4, std::uint32_t at, Label otherwise) {
    if (port == 0) return;
    after_ipv4 ? out_.load_half_after_ipv4(at) : out_.load_half(at);
    out_.unless_equal(port, otherwise);
  }

  const FilterConfig& config_;
  Parts parts_;
  bool ethernet_;
  std::uint32_t net_;
  Assembler out_;
  Label pass_ = out_.label();
  Label drop_ = out_.label();
};

}  // namespace

Result<std::vector<BpfInstruction>> build_kernel_filter(const FilterConfig& config) {
  if (config.link != LinkType::kEthernet && config.link != LinkType::kRawIp) {
    Assembler everything;
    everything.give(config.accept_bytes);
    return std::move(everything).finish();
  }
  FilterConfig left = config;
  for (const Parts parts : {Parts{true, true}, Parts{true, false}, Parts{false, false}}) {
    auto program = FilterBuilder(left, parts).build();
    if (program.size() <= kMaxFilter) return program;
  }
  left.self.clear();
  auto program = FilterBuilder(left, Parts{false, false}).build();
  if (program.size() <= kMaxFilter) return program;
  return Error{"kernel filter: " + std::to_string(config.own.size()) +
               " own connections do not fit into " + std::to_string(kMaxFilter) + " instructions"};
}

}  // namespace sidetap::capture
