#include "shared/tap/filter_expression.h"

#include <cstdint>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "shared/tap/settings.h"
#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap::tap {
namespace {

using test::Bytes;
using test::packet;
using ::testing::HasSubstr;

bool accepts(std::string_view expression, const Bytes& bytes) {
  return filter_accepts(compile_filter(expression).value(), bytes,
                        static_cast<std::uint32_t>(bytes.size()));
}

TEST(FilterExpression, AcceptsWhatTcpdumpWouldShow) {
  const Bytes scrape = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 9100).ethernet();
  const Bytes other = packet().from("fd00::2").to("fd00::1").udp(40000, 53).ethernet();
  EXPECT_FALSE(accepts("not port 9100", scrape));
  EXPECT_TRUE(accepts("not port 9100", other));
  EXPECT_TRUE(accepts("net fd00::/16 && udp", other));
  EXPECT_FALSE(accepts("host 10.0.0.1 and portrange 1-9000", scrape));
}

TEST(FilterExpression, ABlankOneAcceptsEverything) {
  for (const char* const blank : {"", " \n"}) {
    EXPECT_TRUE(compile_filter(blank).value().empty());
    EXPECT_EQ(check_filter(blank).value(), blank);
    EXPECT_TRUE(accepts(blank, Bytes(3)));
  }
}

TEST(FilterExpression, AllOfTheLanguageThatNeedsNoNamesIsAccepted) {
  for (const char* const expression :
       {"ether host 02:00:00:00:00:01", "ether[0] & 1 = 0 and ip[16] >= 224",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.0.0.0/8",
        "icmp[icmptype] != icmp-echo",
        "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - "
        "((tcp[12]&0xf0)>>2)) != 0)",
        "net 10.1 mask 255.255.0.0", "ip6 proto 58", "arp or icmp6", "len > 1000",
        "host ::1 or host 2001:db8::1", "greater 100", "ip[6:2]-20>100", "ether proto 0x88cc",
        "mpls and tcp", "portrange 80-90 or 100-200"}) {
    const auto compiled = compile_filter(expression);
    EXPECT_TRUE(compiled) << expression << ": " << (compiled ? "" : compiled.error().text);
  }
}

TEST(FilterExpression, WhatDoesNotCompileIsRefusedWithItsReason) {
  EXPECT_THAT(check_filter("not (").error().text, HasSubstr("syntax error"));
  EXPECT_THAT(check_filter("not (").error().text, HasSubstr("such as \"not port 9100\""));
  EXPECT_THAT(compile_filter("ip and arp").error().text, HasSubstr("rejects all packets"));
  EXPECT_THAT(compile_filter("ip broadcast").error().text, HasSubstr("netmask"));
}

TEST(FilterExpression, NamesAreNotLookedUp) {
  for (const char* const expression :
       {"host sensor.example", "not host cafe", "port http", "gateway router", "net home",
        "ip proto \\tcp", "src sensor-1 and udp", "host 1.2.3.4.5", "protochain 6", "host 80-90",
        "port 80-90", "portrange 80-90 and src 100-200"}) {
    const auto compiled = compile_filter(expression);
    ASSERT_FALSE(compiled) << expression;
    EXPECT_THAT(compiled.error().text, HasSubstr("not looked up")) << expression;
  }
}

TEST(FilterExpression, WhatTheKernelDoesNotTellItsFilterIsRefused) {
  for (const char* const expression : {"vlan 7", "inbound", "not outbound", "ifindex 2"})
    EXPECT_THAT(compile_filter(expression).error().text, HasSubstr("cannot be used"));
}

TEST(FilterExpression, IsBounded) {
  const auto hosts = [](std::size_t count) {
    std::string text = "host 10.0.0.1";
    for (std::size_t i = 0; i < count; ++i)
      text += " or 10.1." + std::to_string(i / 200) + "." + std::to_string(i % 200);
    return text;
  };
  EXPECT_TRUE(compile_filter(hosts(40)));
  ASSERT_LE(hosts(250).size(), kMostFilterText);
  EXPECT_THAT(compile_filter(hosts(250)).error().text, HasSubstr("instructions; at most 1024"));
  EXPECT_THAT(compile_filter(std::string(kMostFilterText + 1, '(')).error().text,
              HasSubstr("4097 bytes"));
  EXPECT_THAT(compile_filter(std::string_view("tcp\0", 4)).error().text, HasSubstr("NUL"));
}

TEST(FilterExpression, FollowsTheLinkLayer) {
  const Bytes raw = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 9100).network();
  const auto length = static_cast<std::uint32_t>(raw.size());
  const auto filter = compile_filter("port 9100", 101).value();
  EXPECT_TRUE(filter_accepts(filter, raw, length));
  EXPECT_FALSE(filter_accepts(compile_filter("port 9101", 101).value(), raw, length));
  EXPECT_FALSE(compile_filter("ether host 02:00:00:00:00:01", 101));
}

}  // namespace
}  // namespace sidetap::tap
