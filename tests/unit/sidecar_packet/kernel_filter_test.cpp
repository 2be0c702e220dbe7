#include "sidecar/packet/kernel_filter.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "shared/net/unique_fd.h"
#include "tests/unit/sidecar_packet/bpf_machine.h"
#include "tests/unit/sidecar_packet/packet_builder.h"
#include "tests/unit/sidecar_packet/random_packets.h"

namespace sidetap::capture {
namespace {

using namespace sidetap::test;

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

bool passes(const Bytes& packet, unsigned type = kPacketHost, const FilterConfig& c = config()) {
  return run_bpf(build_kernel_filter(c).value(), packet, type) != 0;
}

TEST(KernelFilter, OwnTrafficIsDroppedBothWays) {
  EXPECT_FALSE(passes(packet().from("10.0.0.1").to("192.0.2.1").tcp(40001, 2003).ethernet()));
  EXPECT_FALSE(passes(packet().from("192.0.2.1").to("10.0.0.1").tcp(2003, 40001).ethernet()));
  EXPECT_FALSE(passes(packet().from("fd00::1").to("2001:db8::1").udp(40003, 2004).ethernet()));
  EXPECT_FALSE(
      passes(packet().from("10.0.0.1").to("192.0.2.1").udp(40002, 2004).ip_options(5).ethernet()));
}

TEST(KernelFilter, OtherTrafficWithTheSensorPasses) {
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("192.0.2.1").tcp(40009, 2003).ethernet(),
                     kPacketOutgoing));
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("192.0.2.1").udp(40001, 2003).ethernet(),
                     kPacketOutgoing));
}

TEST(KernelFilter, APortOfTheTapIsItsOwnAtThisPodOnly) {
  for (const auto& [pod, other] :
       {std::pair("10.0.0.1", "192.0.2.9"), {"fe80::1", "2001:db8::1"}}) {
    EXPECT_FALSE(passes(packet().from(other).to(pod).tcp(40009, 15920).ethernet()));
    EXPECT_FALSE(passes(packet().from(pod).to(other).tcp(15920, 40009).ethernet()));
    EXPECT_TRUE(passes(packet().from(pod).to(other).tcp(40009, 15920).ethernet(), kPacketOutgoing));
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

TEST(KernelFilter, WhateverThePodSendsToASensorsPortIsATapsTraffic) {
  FilterConfig c = config();
  c.own = {{.protocol = IpProtocol::kTcp,
            .local = {},
            .local_port = 40001,
            .remote = ip("192.0.2.1"),
            .remote_port = 2003,
            .every_local_port = true}};
  // Through a proxy, from another container, from a socket of an earlier session.
  for (const auto port : {std::uint16_t{40001}, std::uint16_t{40009}}) {
    EXPECT_FALSE(passes(packet().from("10.0.0.1").to("192.0.2.1").tcp(port, 2003).ethernet(),
                        kPacketOutgoing, c));
    EXPECT_FALSE(passes(packet().from("192.0.2.1").to("10.0.0.1").tcp(2003, port).ethernet(),
                        kPacketHost, c));
  }
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("192.0.2.1").tcp(40001, 443).ethernet(),
                     kPacketOutgoing, c));
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("192.0.2.2").tcp(40001, 2003).ethernet(),
                     kPacketOutgoing, c));
}

TEST(KernelFilter, OwnTrafficOnTheLoopbackInterfaceIsDropped) {
  FilterConfig c = config();
  c.self.push_back(ip("127.0.0.2"));  // as nobody's: what passes below would pass for it
  const OwnEndpoint own{.protocol = IpProtocol::kUdp,
                        .local = {},
                        .local_port = 40001,
                        .remote = ip("127.0.0.1"),
                        .remote_port = 4789};
  OwnEndpoint own6 = own;
  own6.remote = ip("::1");
  c.own = {own, own6};
  EXPECT_FALSE(passes(packet().from("127.0.0.1").to("127.0.0.1").udp(40001, 4789).ethernet(),
                      kPacketOutgoing, c));
  EXPECT_FALSE(passes(packet().from("::1").to("::1").udp(40001, 4789).ethernet(), kPacketHost, c));
  EXPECT_TRUE(passes(packet().from("127.0.0.2").to("127.0.0.1").udp(40002, 4789).ethernet(),
                     kPacketOutgoing, c));
}

TEST(KernelFilter, UnicastBetweenStrangersIsDropped) {
  EXPECT_FALSE(passes(packet().from("10.0.0.7").to("10.0.0.8").tcp(1, 2).ethernet()));
  EXPECT_FALSE(passes(packet().from("fd00::7").to("fd00::8").tcp(1, 2).ethernet()));
  EXPECT_TRUE(passes(packet().from("10.0.0.7").to("224.0.0.5").udp(1, 2).ethernet()));
  EXPECT_TRUE(passes(packet().from("10.0.0.7").to("10.0.0.255").udp(1, 2).ethernet()));
}

TEST(KernelFilter, ReturnedMulticastIsDroppedByDirection) {
  const Bytes sent = packet().from("10.0.0.1").to("224.0.0.5").udp(1, 2).ethernet();
  EXPECT_TRUE(passes(sent, kPacketOutgoing));
  EXPECT_FALSE(passes(sent, kPacketMulticast));
  const Bytes asked = arp(kBroadcastMac, mac(1), ip("10.0.0.1"), ip("10.0.0.9"));
  EXPECT_TRUE(passes(asked, kPacketOutgoing));
  EXPECT_FALSE(passes(asked, kPacketBroadcast));
  const Bytes dhcp = packet()
                         .from("0.0.0.0")
                         .to("255.255.255.255")
                         .udp(68, 67)
                         .destination_mac(kBroadcastMac)
                         .ethernet();
  EXPECT_TRUE(passes(dhcp, kPacketOutgoing));
  EXPECT_FALSE(passes(dhcp, kPacketBroadcast));
}

TEST(KernelFilter, ReturnedUnicastIsDroppedUnlessItIsForThePodItself) {
  for (const Bytes& sent : {packet().from("10.0.0.1").to("192.0.2.9").tcp(1, 2).ethernet(),
                            packet().from("fd00::1").to("fd00::2").udp(1, 2).ethernet(),
                            arp(mac(5), mac(1), ip("10.0.0.1"), ip("10.0.0.5"))}) {
    EXPECT_TRUE(passes(sent, kPacketOutgoing));
    EXPECT_FALSE(passes(sent, kPacketOtherHost));
  }
  EXPECT_TRUE(passes(packet().from("10.0.0.1").to("10.0.0.1").tcp(1, 2).ethernet(), kPacketHost));
}

TEST(KernelFilter, WhatComesInFromAMacOfThePodsAloneIsAnEchoWhateverItsAddresses) {
  FilterConfig c = config();
  const Bytes translated = packet()
                               .from("10.0.0.254")
                               .to("239.1.2.3")
                               .udp(1, 2)
                               .source_mac(mac(1))
                               .destination_mac(kBroadcastMac)
                               .ethernet();
  const Bytes asked = arp(kBroadcastMac, mac(1), ip("10.0.0.2"), ip("10.0.0.9"));
  for (const Bytes& echo : {translated, asked}) {
    EXPECT_TRUE(passes(echo, kPacketMulticast, c)) << "on ipvlan it may be a sibling's";
    c.senders = {mac(9), mac(1)};
    EXPECT_FALSE(passes(echo, kPacketMulticast, c));
    EXPECT_TRUE(passes(echo, kPacketOutgoing, c));
    c.senders = {};
  }
  c.senders = {mac(9)};
  EXPECT_TRUE(passes(translated, kPacketMulticast, c)) << "somebody else's";
  c.senders = {mac(1)};
  EXPECT_TRUE(
      passes(packet().from("10.0.0.254").to("10.0.0.1").tcp(1, 2).source_mac(mac(1)).ethernet(),
             kPacketHost, c))
      << "to itself through a Service: the bridge has translated both addresses";
}

TEST(KernelFilter, TaggedFramesAreLeftToTheProcess) {
  EXPECT_TRUE(passes(packet().from("10.0.0.7").to("10.0.0.8").tcp(1, 2).vlan().ethernet()));
}

TEST(KernelFilter, UnownedPeersAreDroppedInUnicastTcpAndUdpOnly) {
  FilterConfig c = config();
  c.unowned_peers = {net::Cidr::parse("10.96.0.0/12").value(),
                     net::Cidr::parse("fd00:96::/112").value()};
  EXPECT_FALSE(
      passes(packet().from("10.0.0.1").to("10.96.0.10").udp(1, 53).ethernet(), kPacketHost, c));
  EXPECT_FALSE(
      passes(packet().from("10.111.0.10").to("10.0.0.1").udp(53, 1).ethernet(), kPacketHost, c));
  EXPECT_FALSE(
      passes(packet().from("fd00::1").to("fd00:96::a").udp(1, 53).ethernet(), kPacketHost, c));
  EXPECT_TRUE(
      passes(packet().from("10.0.0.1").to("10.112.0.1").udp(1, 53).ethernet(), kPacketOutgoing, c));
  EXPECT_TRUE(
      passes(packet().from("10.96.0.1").to("224.0.0.1").udp(1, 53).ethernet(), kPacketHost, c));
  EXPECT_TRUE(
      passes(packet().from("10.0.0.1").to("10.96.0.10").echo(true).ethernet(), kPacketOutgoing, c));
  EXPECT_TRUE(
      passes(packet().from("fd00:96::a").to("fd00::1").echo(false).ethernet(), kPacketHost, c));
}

TEST(KernelFilter, StaysWithinTheKernelsLimitWhateverIsAsked) {
  FilterConfig c = config();
  for (std::uint32_t i = 0; i < 3000; ++i) {
    c.unowned_peers.push_back(net::Cidr::host(net::IpAddress::v4(0xac100000U + i * 2)));
  }
  auto program = build_kernel_filter(c).value();
  EXPECT_LE(program.size(), kMaxBpfInstructions);
  EXPECT_EQ(
      run_bpf(program, packet().from("10.0.0.7").to("10.0.0.8").tcp(1, 2).ethernet(), kPacketHost),
      0U)
      << "only what did not fit is left out";
  for (std::uint32_t i = 0; i < 1000; ++i) c.self.push_back(net::IpAddress::v6(1, i));
  program = build_kernel_filter(c).value();
  EXPECT_LE(program.size(), kMaxBpfInstructions);
  EXPECT_EQ(run_bpf(program, packet().from("10.0.0.1").to("192.0.2.1").tcp(40001, 2003).ethernet(),
                    kPacketHost),
            0U)
      << "own traffic is excluded always";
  c.own.assign(1000, {IpProtocol::kTcp, ip("10.0.0.1"), 1, ip("10.0.0.2"), 2});
  EXPECT_FALSE(build_kernel_filter(c));
}

TEST(KernelFilter, PassesWhatItCannotReadOnOtherLinks) {
  FilterConfig c = config();
  c.link = LinkType::kLinuxSll;
  EXPECT_TRUE(passes(Bytes(3), kPacketHost, c));
}

FilterConfig config_with_services() {
  FilterConfig filter = config();
  filter.unowned_peers = {net::Cidr::parse("10.96.0.0/12").value(),
                          net::Cidr::parse("fd00:96::/112").value()};
  return filter;
}

/// A socket of the kernel's own runs the program on what is sent to it, as type PACKET_HOST.
TEST(KernelFilter, TheKernelRunsItAsThisTestDoes) {
  FilterConfig filter = config_with_services();
  RandomPackets random(12);
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
      ASSERT_EQ(kept, run_bpf(program, bytes, kPacketHost) != 0) << "round " << round;
    }
  }
  EXPECT_GT(passed, 10000U);
  EXPECT_LT(passed, 90000U);
}

}  // namespace
}  // namespace sidetap::capture
