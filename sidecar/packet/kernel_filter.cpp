#include "sidecar/packet/kernel_filter.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sidecar/packet/bpf_assembler.h"
#include "sidecar/packet/filter_front.h"

namespace sidetap::capture {
namespace {

constexpr unsigned kMaxFilter = kMaxBpfInstructions - kSourceBpfInstructions;

using Mac = std::array<std::byte, 6>;

using Label = BpfAssembler::Label;

/// The parts of the program, some of which are omitted if it would not fit.
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
      // VLAN tags in the packet hide its type, so the process decides.
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

  /// A load beyond the packet's end would drop the packet, but the process decides about malformed
  /// packets.
  void pass_unless_long(std::uint32_t bytes) { out_.unless_long(bytes, pass_); }

  void source_mac_unless(const Mac& mac, Label otherwise) {
    const auto byte = [&mac](unsigned i) { return std::to_integer<std::uint32_t>(mac[i]); };
    out_.load_word(6);
    out_.unless_equal(byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3), otherwise);
    out_.load_half(10);
    out_.unless_equal(byte(4) << 8 | byte(5), otherwise);
  }

  bool has_mac() const { return ethernet_ && config_.mac != Mac{}; }

  /// Drops incoming non-IP frames from this pod's MAC address.
  void drop_echo_by_mac() {
    if (!has_mac()) return;
    source_mac_unless(config_.mac, pass_);
    const Label arp = out_.label();
    out_.load_half(12);
    out_.if_equal(0x0806, arp);
    drop_echo();
    out_.go(pass_);
    // Siblings on ipvlan share the MAC address, so the sender address decides for ARP.
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

  /// Drops incoming frames from a MAC address that only this pod has.
  void drop_echo_by_sender() {
    if (!ethernet_ || config_.senders.empty()) return;
    const Label sent = out_.label();
    out_.load_packet_type();
    out_.if_equal(kPacketTypeOutgoing, sent);
    for (const Mac& mac : config_.senders) {
      const Label next = out_.label();
      source_mac_unless(mac, next);
      out_.go(drop_);
      out_.bind(next);
    }
    out_.bind(sent);
  }

  /// Checks every incoming packet: a bridge in hairpin mode returns what it floods, which includes
  /// unicast to unknown receivers. The kernel marks that as PACKET_OTHERHOST.
  void drop_echo() {
    out_.load_packet_type();
    out_.unless_equal(kPacketTypeOutgoing, drop_);
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
    // Sent to itself, through a Service and back.
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
      out_.unless_in(net::Cidr::host(address), at, next);
      out_.go(matched);
      out_.bind(next);
    }
  }

  /// If the loopback interface is captured, a sensor in the pod is reached through it.
  void match_loopback(std::uint32_t at, bool v4, Label matched) {
    const Label next = out_.label();
    if (v4) {
      out_.unless_word(0x7f000000, 8, at, next);
    } else {
      out_.unless_in(net::Cidr::host(net::IpAddress::v6(0, 1)), at, next);
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

  /// IPv4-mapped addresses pass: the process decides.
  void pass_mapped(std::uint32_t at) {
    const Label telling = out_.label();
    out_.load_word(at);
    out_.unless_equal(0, telling);
    out_.load_word(at + 4);
    out_.if_equal(0, pass_);
    out_.bind(telling);
  }

  /// Neither end is the pod: only group traffic and senders without an address may matter.
  void strangers(bool v4) {
    if (!v4) pass_mapped(destination(v4));
    drop_echo_by_sender();
    nameless(v4);
    pass_group(v4);
    if (!v4) pass_mapped(source(v4));
    out_.go(drop_);
  }

  /// Identifies senders without an address (DHCP, duplicate address detection) by MAC address.
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
    // Everything else passes. It includes neighbour discovery and echo, which concern the pod
    // alone, and IPv6 extension headers, which could hide them.
    const Label plain = out_.label();
    out_.load_byte(net_ + (v4 ? 9 : 6));
    out_.if_equal(6, plain);
    out_.if_equal(17, plain);
    out_.go(pass_);
    out_.bind(plain);
    for (const net::Cidr& prefix : config_.unowned_peers) {
      if (prefix.is_v4() != v4) continue;
      const Label next = out_.label();
      out_.unless_in(prefix, at, next);
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
      out_.unless_in(net::Cidr::host(own.local), local, next);
    }
    if (!own.remote.is_unspecified()) out_.unless_in(net::Cidr::host(own.remote), remote, next);
    if (v4) {
      out_.load_byte(net_ + 9);
      out_.unless_equal(number, next);
      later_fragment_goes(net_ + 6, 0x1fff, fragments ? drop_ : next);
      // As in the parser, a header that is too short, or truncated ports, decide nothing.
      const Label whole = out_.label();
      out_.load_ipv4_length(net_);
      out_.x_to_a();
      out_.if_at_least(20, whole);
      out_.go(next);
      out_.bind(whole);
      out_.unless_long_after_x(net_ + need, next);
      out_.load_ipv4_length(net_);
      port_unless(from_port, true, net_, next);
      port_unless(to_port, true, net_ + 2, next);
      out_.go(drop_);
    } else {
      const Label plain = out_.label();
      out_.load_byte(net_ + 6);
      out_.if_equal(number, plain);
      out_.unless_equal(44, next);
      out_.unless_long(net_ + 48, next);
      out_.load_byte(net_ + 40);
      out_.unless_equal(number, next);
      later_fragment_goes(net_ + 42, 0xfff8, fragments ? drop_ : next);
      out_.unless_long(net_ + 48 + need, next);
      port_unless(from_port, false, net_ + 48, next);
      port_unless(to_port, false, net_ + 50, next);
      out_.go(drop_);
      out_.bind(plain);
      out_.unless_long(net_ + 40 + need, next);
      port_unless(from_port, false, net_ + 40, next);
      port_unless(to_port, false, net_ + 42, next);
      out_.go(drop_);
    }
    out_.bind(next);
  }

  void later_fragment_goes(std::uint32_t at, std::uint32_t offset_bits, Label where) {
    out_.load_half(at);
    out_.if_any_bit(offset_bits, where);
  }

  void port_unless(std::uint16_t port, bool after_ipv4, std::uint32_t at, Label otherwise) {
    if (port == 0) return;
    after_ipv4 ? out_.load_half_after_x(at) : out_.load_half(at);
    out_.unless_equal(port, otherwise);
  }

  const FilterConfig& config_;
  Parts parts_;
  bool ethernet_;
  std::uint32_t net_;
  BpfAssembler out_;
  Label pass_ = out_.label();
  Label drop_ = out_.label();
};

}  // namespace

Result<std::vector<BpfInstruction>> build_kernel_filter(const FilterConfig& config) {
  if (config.link != LinkType::kEthernet && config.link != LinkType::kRawIp) {
    BpfAssembler everything;
    everything.give(config.accept_bytes);
    return behind(config.front, std::move(everything).finish());
  }
  FilterConfig left = config;
  const auto fits = [&](const std::vector<BpfInstruction>& program) {
    return config.front.size() + program.size() <= kMaxFilter;
  };
  for (const Parts parts : {Parts{true, true}, Parts{true, false}, Parts{false, false}}) {
    const auto program = FilterBuilder(left, parts).build();
    if (fits(program)) return behind(config.front, program);
  }
  left.self.clear();
  const auto program = FilterBuilder(left, Parts{false, false}).build();
  if (fits(program)) return behind(config.front, program);
  return Error{"kernel filter: " + std::to_string(config.own.size()) +
               " own connections do not fit into " +
               std::to_string(kMaxFilter - std::min<std::size_t>(config.front.size(), kMaxFilter)) +
               " instructions"};
}

}  // namespace sidetap::capture
