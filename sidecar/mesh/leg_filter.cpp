#include "sidecar/mesh/leg_filter.h"

#include "sidecar/packet/bpf_assembler.h"

namespace sidetap::mesh {
namespace {

using capture::BpfAssembler;
using Label = BpfAssembler::Label;

constexpr std::uint32_t kNetwork = 14;

class LegFilterBuilder {
 public:
  LegFilterBuilder(const Mesh& mesh, const LegFilterConfig& config)
      : mesh_(mesh), config_(config) {}

  std::vector<capture::BpfInstruction> build() && {
    if (!mesh_.application_ports.empty()) {
      const Label v4 = out_.label();
      const Label v6 = out_.label();
      out_.load_packet_type();
      out_.if_equal(capture::kPacketTypeOutgoing, drop_);
      out_.load_half(12);
      out_.if_equal(0x0800, v4);
      out_.if_equal(0x86dd, v6);
      out_.go(drop_);
      out_.bind(v4);
      family(true);
      out_.bind(v6);
      family(false);
      out_.bind(pass_);
      out_.give(config_.accept_bytes);
    }
    out_.bind(drop_);
    out_.give(0);
    return std::move(out_).finish();
  }

 private:
  std::uint32_t source(bool v4) const { return kNetwork + (v4 ? 12 : 8); }
  std::uint32_t destination(bool v4) const { return kNetwork + (v4 ? 16 : 24); }

  void family(bool v4) {
    out_.load_byte(kNetwork + (v4 ? 9 : 6));
    out_.unless_equal(6, drop_);
    // The stack never splits what the loopback interface can carry.
    if (v4) {
      out_.load_half(kNetwork + 6);
      out_.if_any_bit(0x3fff, drop_);
    }
    const Label ends = out_.label();
    // Of the half-word, the lower byte is the flags.
    load_from_tcp(12, v4);
    out_.if_any_bit(capture::kTcpSyn, ends);
    for (const LegKey& key : config_.ignored) {
      if (key.client.is_v4() != v4) continue;
      one_way(key.client, key.client_port, key.server, key.server_port, v4);
      one_way(key.server, key.server_port, key.client, key.client_port, v4);
    }
    out_.bind(ends);
    end_at(destination(v4), 2, v4);
    end_at(source(v4), 0, v4);
    out_.go(drop_);
  }

  /// A half-word of the TCP header.
  void load_from_tcp(std::uint32_t at, bool v4) {
    if (v4) {
      out_.load_ipv4_length(kNetwork);
      out_.load_half_after_x(kNetwork + at);
    } else {
      out_.load_half(kNetwork + 40 + at);
    }
  }
  /// Passes if the end at this address is a local one, at a port of the application.
  void end_at(std::uint32_t address, std::uint32_t port, bool v4) {
    const Label local = out_.label();
    const Label next = out_.label();
    match_loopback(address, v4, local);
    for (const net::IpAddress self : config_.self) {
      if (self.is_v4() != v4) continue;
      const Label other = out_.label();
      out_.unless_in(net::Cidr::host(self), address, other);
      out_.go(local);
      out_.bind(other);
    }
    out_.go(next);
    out_.bind(local);
    if (mesh_.application_ports.size() > kMostFilterPorts) {
      out_.go(pass_);
    } else {
      load_from_tcp(port, v4);
      for (const std::uint16_t each : mesh_.application_ports) out_.if_equal(each, pass_);
    }
    out_.bind(next);
  }

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

  void one_way(net::IpAddress from, std::uint16_t from_port, net::IpAddress to,
               std::uint16_t to_port, bool v4) {
    const Label next = out_.label();
    load_from_tcp(0, v4);
    out_.unless_equal(from_port, next);
    load_from_tcp(2, v4);
    out_.unless_equal(to_port, next);
    out_.unless_in(net::Cidr::host(from), source(v4), next);
    out_.unless_in(net::Cidr::host(to), destination(v4), next);
    out_.go(drop_);
    out_.bind(next);
  }

  const Mesh& mesh_;
  const LegFilterConfig& config_;
  BpfAssembler out_;
  Label pass_ = out_.label();
  Label drop_ = out_.label();
};

}  // namespace

std::vector<capture::BpfInstruction> build_leg_filter(const Mesh& mesh,
                                                      const LegFilterConfig& config) {
  LegFilterConfig bounded = config;
  if (bounded.ignored.size() > kMostIgnored) bounded.ignored.resize(kMostIgnored);
  for (;;) {
    auto program = LegFilterBuilder(mesh, bounded).build();
    const bool fits =
        program.size() + capture::kSourceBpfInstructions <= capture::kMaxBpfInstructions;
    if (fits || bounded.ignored.empty()) return program;
    bounded.ignored.resize(bounded.ignored.size() / 2);
  }
}

}  // namespace sidetap::mesh
