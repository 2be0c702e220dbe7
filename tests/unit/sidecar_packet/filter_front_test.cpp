// The operator's filter in front of the tap's own.
#include "sidecar/packet/filter_front.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <linux/filter.h>

#include "shared/tap/filter_expression.h"
#include "sidecar/packet/kernel_filter.h"
#include "tests/unit/sidecar_packet/bpf_machine.h"
#include "tests/unit/sidecar_packet/packet_builder.h"
#include "tests/unit/sidecar_packet/random_packets.h"

namespace sidetap::capture {
namespace {

using namespace sidetap::test;
using Program = std::vector<BpfInstruction>;

Program front_of(const std::string& expression, LinkType link = LinkType::kEthernet) {
  const auto compiled = tap::compile_filter(expression, static_cast<std::uint16_t>(link));
  EXPECT_TRUE(compiled) << expression << ": " << (compiled ? "" : compiled.error().text);
  return as_kernel_sees(compiled.value(), link).value();
}

FilterConfig pod_behind(Program front) {
  FilterConfig c;
  c.front = std::move(front);
  c.self = {ip("10.0.0.1"), ip("fd00::1")};
  c.mac = mac(1);
  c.own = {{IpProtocol::kTcp, ip("10.0.0.1"), 40001, ip("192.0.2.1"), 2003}};
  return c;
}

/// An expression of a few primitives, some of them with arithmetic.
std::string random_expression(RandomPackets& random, unsigned depth) {
  static const std::array<std::string, 14> kPrimitives = {"tcp",
                                                          "udp port 40001",
                                                          "port 2003",
                                                          "host 10.0.0.1",
                                                          "src host fd00::1",
                                                          "dst net 10.96.0.0/12",
                                                          "ip[2:2] - ((ip[0] & 0xf) << 2) > 8",
                                                          "arp",
                                                          "icmp or icmp6",
                                                          "portrange 80-2004",
                                                          "tcp[13] & 2 != 0",
                                                          "greater 60",
                                                          "ip6[6] = 17",
                                                          "ether host 02:00:00:00:00:01"};
  if (depth == 0 || random() % 3 == 0) return kPrimitives[random() % kPrimitives.size()];
  const std::string left = random_expression(random, depth - 1);
  if (random() % 4 == 0) return "not (" + left + ")";
  const std::string right = random_expression(random, depth - 1);
  return "(" + left + (random() % 2 == 0 ? ") and (" : ") or (") + right + ")";
}

TEST(FilterFront, WhatPassesIsWhatBothAccept) {
  RandomPackets random(19);
  const Program own = build_kernel_filter(pod_behind({})).value();
  unsigned passed = 0;
  unsigned refused = 0;
  for (int round = 0; round < 300; ++round) {
    const std::string expression = random_expression(random, 4);
    const auto compiled = tap::compile_filter(expression);
    if (!compiled) {
      ASSERT_NE(compiled.error().text.find("rejects all"), std::string::npos) << expression;
      continue;
    }
    const Program both = build_kernel_filter(pod_behind(*compiled)).value();
    ASSERT_EQ(both.size(), compiled->size() + own.size());
    for (int i = 0; i < 100; ++i) {
      const Bytes bytes = random.packet(LinkType::kEthernet);
      const bool wanted =
          tap::filter_accepts(*compiled, bytes, static_cast<std::uint32_t>(bytes.size()));
      const bool kept = run_bpf(own, bytes, kPacketHost) != 0;
      ASSERT_EQ(run_bpf(both, bytes, kPacketHost) != 0, wanted && kept) << expression;
      passed += wanted && kept;
      refused += !wanted && kept;
    }
  }
  EXPECT_GT(passed, 1000U);
  EXPECT_GT(refused, 1000U);
}

TEST(FilterFront, ALongExpressionIsCrossedAndNeverLeftOut) {
  std::string expression = "host 10.0.0.1";
  for (int i = 0; i < 40; ++i) expression += " or 10.7.0." + std::to_string(i);
  FilterConfig c = pod_behind(front_of("not port 9100 and (" + expression + ")"));
  const Bytes scrape = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 9100).ethernet();
  const Bytes other = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 80).ethernet();
  for (std::uint32_t i = 0; i < 3000; ++i) {
    c.unowned_peers.push_back(net::Cidr::host(net::IpAddress::v4(0xac100000U + i * 2)));
    c.self.push_back(net::IpAddress::v6(1, i));
  }
  const Program program = build_kernel_filter(c).value();
  EXPECT_LE(program.size(), kMaxBpfInstructions - kSourceBpfInstructions);
  EXPECT_EQ(run_bpf(program, scrape, kPacketHost), 0U);
  EXPECT_EQ(run_bpf(program, other, kPacketHost), c.accept_bytes);
}

TEST(FilterFront, StandsInFrontOnEveryLinkLayer) {
  const Bytes scrape = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 9100).network();
  const Bytes other = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 80).network();
  // Of a cooked capture the kernel's filter sees the network layer only.
  for (const LinkType link : {LinkType::kRawIp, LinkType::kLinuxSll, LinkType::kLinuxSll2}) {
    FilterConfig c = pod_behind(front_of("not (ip and tcp port 9100)", link));
    c.link = link;
    const Program program = build_kernel_filter(c).value();
    EXPECT_EQ(run_bpf(program, scrape, kPacketHost), 0U) << static_cast<int>(link);
    EXPECT_EQ(run_bpf(program, other, kPacketHost), c.accept_bytes) << static_cast<int>(link);
  }
}

TEST(FilterFront, AFieldThatTheKernelDoesNotTellIsAnError) {
  for (const char* const expression : {"link[6] = 2", "link[ip[0]] = 2"}) {
    const auto compiled =
        tap::compile_filter(expression, static_cast<std::uint16_t>(LinkType::kLinuxSll));
    ASSERT_TRUE(compiled) << expression;
    EXPECT_FALSE(as_kernel_sees(*compiled, LinkType::kLinuxSll)) << expression;
  }
}

}  // namespace
}  // namespace sidetap::capture
