#include "sidecar/capture/kernel_filter.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "sidecar/ownership/engine.h"
#include "tests/unit/sidecar_capture/packet_builder.h"

namespace sidetap::capture {
namespace {

using namespace sidetap::test;

constexpr unsigned kHost = 0, kBroadcast = 1, kMulticast = 2, kOutgoing = 4;

/// The kernel's rules: a load past the end drops, negative offsets are ancillary data.
std::uint32_t run(const std::vector<BpfInstruction>& program, const Bytes& packet,
                  unsigned packet_type) {
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
    const BpfInstruction& i = program[pc];
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

FilterConfig config() {
  FilterConfig c;
  c.self = {ip("10.0.0.1"), ip("fd00::1"), ip("fe80::1")};
  c.mac = mac(1);
  c.broadcasts = {ip("10.0.0.255")};
  c.own = {{IpProtocol::kTcp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003},
           {IpProtocol::kUdp, ip("10.0.0.1"), 40002, ip("192.0.2.1"), 2004},
           {IpProtocol::kUdp, ip("fd00::1"), 40003, ip("2001:db8::1"), 2004},
           {.protocol = IpProtocol::kTcp, .local = {}, .local_port = 15920, .remote = {}}};
  return c;
}

bool passes(const Bytes& packet, unsigned type = kHost, const FilterConfig& c = config()) {
  return run(build_kernel_filter(c).value(), packet, type) != 0;
}

TEST(KernelFilter, OwnTrafficIsDroppedBothWays) {
  EXPECT_FALSE(passes(packet().from("10.0.0.1").to("192.0.2.1").tcp(40001, 2003).ethernet()));
  EXPECT_FALSE(passes(packet().from("192.0.2.1").to("10.0.0.1").tcp(2003, 40001).ethernet()));
  EXPECT_FALSE(passes(packet().from("fd00::1").to("2001:db8::1").udp(40003, 2004).ethernet()));
  EXPECT_FALSE(
      passes(packet().from("10.0.0.1").to("192.0.2.1").udp(40002, 2004).ip_options(5).ethernet()));
}

TEST(KernelFilter, OtherTrafficWithTheSensorPasses) {
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("192.0.2.1").tcp(40009, 2003).ethernet()));
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("192.0.2.1").udp(40001, 2003).ethernet()));
}

TEST(KernelFilter, APortOfTheTapIsItsOwnAtThisPodOnly) {
  for (const auto& [pod, other] :
       {std::pair("10.0.0.1", "192.0.2.9"), {"fe80::1", "2001:db8::1"}}) {
    EXPECT_FALSE(passes(packet().from(other).to(pod).tcp(40009, 15920).ethernet()));
    EXPECT_FALSE(passes(packet().from(pod).to(other).tcp(15920, 40009).ethernet()));
    EXPECT_TRUE(passes(packet().from(pod).to(other).tcp(40009, 15920).ethernet()));
    EXPECT_TRUE(passes(packet().from(other).to(pod).tcp(15920, 40009).ethernet()));
    EXPECT_TRUE(passes(packet().from(other).to(pod).tcp(0, 0).fragment(1, 99, true).ethernet()));
  }
}

TEST(KernelFilter, LaterFragmentsOfOwnTrafficAreDropped) {
  EXPECT_FALSE(
      passes(packet().from("10.0.0.1").to("192.0.2.1").udp(0, 0).fragment(1, 99, true).ethernet()));
  EXPECT_FALSE(passes(
      packet().from("fd00::1").to("2001:db8::1").udp(0, 0).fragment(1, 99, true).ethernet()));
  EXPECT_FALSE(passes(
      packet().from("fd00::1").to("2001:db8::1").udp(40003, 2004).fragment(1, 0, true).ethernet()));
}

TEST(KernelFilter, UnicastBetweenStrangersIsDropped) {
  EXPECT_FALSE(passes(packet().from("10.0.0.7").to("10.0.0.8").tcp(1, 2).ethernet()));
  EXPECT_FALSE(passes(packet().from("fd00::7").to("fd00::8").tcp(1, 2).ethernet()));
  EXPECT_TRUE(passes(packet().from("10.0.0.7").to("224.0.0.5").udp(1, 2).ethernet()));
  EXPECT_TRUE(passes(packet().from("10.0.0.7").to("10.0.0.255").udp(1, 2).ethernet()));
}

TEST(KernelFilter, ReturnedMulticastIsDroppedByDirection) {
  const Bytes sent = packet().from("10.0.0.1").to("224.0.0.5").udp(1, 2).ethernet();
  EXPECT_TRUE(passes(sent, kOutgoing));
  EXPECT_FALSE(passes(sent, kMulticast));
  const Bytes asked = arp(kBroadcastMac, mac(1), ip("10.0.0.1"), ip("10.0.0.9"));
  EXPECT_TRUE(passes(asked, kOutgoing));
  EXPECT_FALSE(passes(asked, kBroadcast));
  const Bytes dhcp = packet()
                         .from("0.0.0.0")
                         .to("255.255.255.255")
                         .udp(68, 67)
                         .destination_mac(kBroadcastMac)
                         .ethernet();
  EXPECT_TRUE(passes(dhcp, kOutgoing));
  EXPECT_FALSE(passes(dhcp, kBroadcast));
}

TEST(KernelFilter, TaggedFramesAreLeftToTheProcess) {
  EXPECT_TRUE(passes(packet().from("10.0.0.7").to("10.0.0.8").tcp(1, 2).vlan().ethernet()));
}

TEST(KernelFilter, UnownedPeersAreDroppedInUnicastOnly) {
  FilterConfig c = config();
  c.unowned_peers = {net::Cidr::parse("10.96.0.0/12").value(),
                     net::Cidr::parse("fd00:96::/112").value()};
  EXPECT_FALSE(passes(packet().from("10.0.0.1").to("10.96.0.10").udp(1, 53).ethernet(), kHost, c));
  EXPECT_FALSE(passes(packet().from("10.111.0.10").to("10.0.0.1").udp(53, 1).ethernet(), kHost, c));
  EXPECT_FALSE(passes(packet().from("fd00::1").to("fd00:96::a").udp(1, 53).ethernet(), kHost, c));
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("10.112.0.1").udp(1, 53).ethernet(), kHost, c));
  EXPECT_TRUE(passes(packet().from("10.96.0.1").to("224.0.0.1").udp(1, 53).ethernet(), kHost, c));
}

TEST(KernelFilter, StaysWithinTheKernelsLimitWhateverIsAsked) {
  FilterConfig c = config();
  for (std::uint32_t i = 0; i < 3000; ++i) {
    c.unowned_peers.push_back(net::Cidr::host(net::IpAddress::v4(0xac100000U + i * 2)));
  }
  auto program = build_kernel_filter(c).value();
  EXPECT_LE(program.size(), kMaxBpfInstructions);
  EXPECT_EQ(run(program, packet().from("10.0.0.7").to("10.0.0.8").tcp(1, 2).ethernet(), kHost), 0U)
      << "only what did not fit is left out";
  for (std::uint32_t i = 0; i < 1000; ++i) c.self.push_back(net::IpAddress::v6(1, i));
  program = build_kernel_filter(c).value();
  EXPECT_LE(program.size(), kMaxBpfInstructions);
  EXPECT_EQ(
      run(program, packet().from("10.0.0.1").to("192.0.2.1").tcp(40001, 2003).ethernet(), kHost),
      0U)
      << "own traffic is excluded always";
  c.own.assign(1000, {IpProtocol::kTcp, ip("10.0.0.1"), 1, ip("10.0.0.2"), 2});
  EXPECT_FALSE(build_kernel_filter(c));
}

TEST(KernelFilter, PassesWhatItCannotReadOnOtherLinks) {
  FilterConfig c = config();
  c.link = LinkType::kLinuxSll;
  EXPECT_TRUE(passes(Bytes(3), kHost, c));
}

class Everybody final : public ownership::ListeningSockets {
 public:
  bool is_listening(net::IpAddress, std::uint16_t) override { return true; }
};

/// Packets of few addresses and ports, cut and damaged at random.
class Chance {
 public:
  explicit Chance(unsigned seed) : engine_(seed) {}
  unsigned operator()() { return static_cast<unsigned>(engine_()); }

  Bytes packet(LinkType link) {
    const auto& family = (*this)() % 2 == 0 ? v4_ : v6_;
    PacketBuilder p = test::packet().from(pick(family)).to(pick(family));
    p.source_mac(mac((*this)() % 2 + 1));
    const unsigned to = (*this)() % 4;
    p.destination_mac(to == 0 ? kBroadcastMac : mac(to));
    switch ((*this)() % 5) {
      case 0:
        p.tcp(pick(ports_), pick(ports_), static_cast<std::uint8_t>((*this)()));
        break;
      case 1:
        p.icmp(static_cast<std::uint8_t>((*this)() % 2 == 0 ? (*this)() : 135));
        break;
      default:
        p.ports(pick(protocols_), pick(ports_), pick(ports_));
    }
    if ((*this)() % 8 == 0) p.vlan();
    if ((*this)() % 8 == 0) p.extension(60);
    if ((*this)() % 8 == 0) p.ip_options((*this)() % 11);
    if ((*this)() % 6 == 0) p.fragment(1, (*this)() % 3, (*this)() % 2 == 0);
    Bytes bytes = link == LinkType::kEthernet ? p.ethernet() : p.network();
    if ((*this)() % 10 == 0)
      bytes = arp(to == 0 ? kBroadcastMac : mac(to), mac((*this)() % 2 + 1), pick(v4_), pick(v4_));
    if ((*this)() % 6 == 0) bytes.resize((*this)() % (bytes.size() + 1));
    if ((*this)() % 6 == 0 && bytes.size() > 15)
      bytes[(*this)() % bytes.size()] = static_cast<std::byte>((*this)());
    return bytes;
  }

 private:
  template <typename List>
  typename List::value_type pick(const List& list) {
    return list[(*this)() % std::size(list)];
  }

  std::mt19937 engine_;
  const std::vector<net::IpAddress> v4_ = {
      ip("10.0.0.1"),   ip("10.0.0.2"),  ip("192.0.2.1"),       ip("10.96.0.10"), ip("0.0.0.0"),
      ip("10.0.0.255"), ip("224.0.0.1"), ip("255.255.255.255"), ip("8.8.8.8")};
  const std::vector<net::IpAddress> v6_ = {ip("fd00::1"),    ip("fd00::2"), ip("2001:db8::1"),
                                           ip("fd00:96::a"), ip("::"),      ip("ff02::1"),
                                           ip("fe80::1"),    ip("fe80::2"), ip("10.0.0.1")};
  const std::vector<std::uint16_t> ports_ = {40001, 40002, 40003, 2003, 2004, 80, 15920};
  const std::vector<std::uint8_t> protocols_ = {17, 33, 47, 132, 136};
};

FilterConfig config_with_services() {
  FilterConfig filter = config();
  filter.unowned_peers = {net::Cidr::parse("10.96.0.0/12").value(),
                          net::Cidr::parse("fd00:96::/112").value()};
  return filter;
}

/// A socket of the kernel's own runs the program on what is sent to it, as type PACKET_HOST.
TEST(KernelFilter, TheKernelRunsItAsThisTestDoes) {
  FilterConfig filter = config_with_services();
  Chance random(12);
  unsigned passed = 0;
  for (const LinkType link : {LinkType::kEthernet, LinkType::kRawIp}) {
    filter.link = link;
    const auto program = build_kernel_filter(filter).value();
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const net::UniqueFd sender(ends[0]);
    const net::UniqueFd receiver(ends[1]);
    std::vector<sock_filter> instructions;
    for (const BpfInstruction& i : program) instructions.push_back({i.code, i.jt, i.jf, i.k});
    const sock_fprog attached{static_cast<unsigned short>(instructions.size()),
                              instructions.data()};
    ASSERT_EQ(setsockopt(receiver.get(), SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached),
              0)
        << std::strerror(errno);
    for (int round = 0; round < 50000; ++round) {
      const Bytes bytes = random.packet(link);
      if (bytes.empty()) continue;
      ASSERT_EQ(send(sender.get(), bytes.data(), bytes.size(), 0),
                static_cast<ssize_t>(bytes.size()));
      std::array<std::byte, 4096> got;
      const bool kept = recv(receiver.get(), got.data(), got.size(), MSG_DONTWAIT) > 0;
      passed += kept;
      ASSERT_EQ(kept, run(program, bytes, kHost) != 0) << "round " << round;
    }
  }
  EXPECT_GT(passed, 10000U);
  EXPECT_LT(passed, 90000U);
}

/// What the engine would own must never be dropped, with every packet type that the kernel reports.
TEST(KernelFilter, NeverDropsWhatTheEngineOwns) {
  FilterConfig filter = config_with_services();
  Chance random(11);
  unsigned dropped = 0;
  for (const LinkType link : {LinkType::kEthernet, LinkType::kRawIp}) {
    filter.link = link;
    const auto program = build_kernel_filter(filter).value();
    for (int round = 0; round < 300000; ++round) {
      ownership::EngineConfig c;
      const Bytes bytes = random.packet(link);
      PacketView view = parse_packet(link, bytes);
      const unsigned type = view.link_group ? (random() % 2 == 0 ? kMulticast : kOutgoing)
                                            : (random() % 2 == 0 ? kHost : kOutgoing);
      view.direction = type == kOutgoing ? Direction::kOutbound : Direction::kInbound;
      const bool kept = run(program, bytes, type) != 0;
      dropped += !kept;
      if (kept) continue;
      // The engine as the run wires it, without knowledge of direction on inbound unicast.
      c.self = {filter.self, filter.mac, filter.broadcasts};
      c.own_endpoints = filter.own;
      c.service_subnets = net::CidrSet(std::span<const net::Cidr>(filter.unowned_peers));
      c.service_view = ownership::ServiceView::kNever;
      c.flow_capacity = 8;
      c.fragment_capacity = 4;
      if (random() % 2 == 0) c.tapped_peers.peers = net::CidrSet::parse("10.0.0.2,fd00::2").value();
      Everybody listening;
      ownership::Engine engine(c, listening);
      // A packet sent by a stranger cannot leave this interface.
      if (view.direction == Direction::kOutbound) view.direction = Direction::kUnknown;
      const ownership::Decision d = engine.decide(view);

      ASSERT_FALSE(d.owned) << "round " << round << ' ' << ownership::rule_name(d.rule) << ' '
                            << view.source.to_string() << " > " << view.destination.to_string()
                            << " protocol " << int{view.protocol} << " type " << type;
    }
  }
  EXPECT_GT(dropped, 50000U) << "the property must have been tried";
}

}  // namespace
}  // namespace sidetap::capture
