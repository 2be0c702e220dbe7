#include "shared/net/ip_address.h"

#include <unordered_set>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::net {
namespace {

TEST(IpAddress, PrintsWhatItParsed) {
  for (const char* text : {"0.0.0.0", "10.244.1.7", "255.255.255.255", "::", "::1",
                           "fd00:10:244::7", "2001:db8::8:800:200c:417a"}) {
    EXPECT_EQ(ip(text).to_string(), text);
  }
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "10.0.0", "10.0.0.256", "1.2.3.4 ", "[::1]", "fe80::1%eth0", "name",
                           ":::", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, MappedIsTheIpv4AddressItStandsFor) {
  EXPECT_EQ(ip("::ffff:10.1.2.3"), ip("10.1.2.3"));
  EXPECT_TRUE(ip("::ffff:10.1.2.3").is_v4());
  EXPECT_EQ(ip("::ffff:10.1.2.3").to_string(), "10.1.2.3");
  EXPECT_FALSE(ip("::10.1.2.3").is_v4());
}

TEST(IpAddress, ComparesAsUnsignedBigEndianNumber) {
  EXPECT_LT(ip("9.255.255.255"), ip("10.0.0.0"));
  EXPECT_LT(ip("127.0.0.1"), ip("128.0.0.1"));
  EXPECT_LT(ip("7fff::"), ip("8000::"));
  EXPECT_LT(ip("fd00::1"), ip("fd00::100"));
}

TEST(IpAddress, BytesRoundTripInNetworkOrder) {
  const auto v4 = ip("10.1.2.3").v4_bytes();
  EXPECT_EQ(v4[0], std::byte{10});
  EXPECT_EQ(v4[3], std::byte{3});
  EXPECT_EQ(IpAddress::from_v4_bytes(v4), ip("10.1.2.3"));
  const auto v6 = ip("fd00::1").v6_bytes();
  EXPECT_EQ(v6[0], std::byte{0xfd});
  EXPECT_EQ(v6[15], std::byte{1});
  EXPECT_EQ(IpAddress::from_v6_bytes(v6), ip("fd00::1"));
}

TEST(IpAddress, KnowsSpecialRanges) {
  EXPECT_TRUE(ip("224.0.0.251").is_multicast());
  EXPECT_TRUE(ip("239.255.255.255").is_multicast());
  EXPECT_FALSE(ip("223.255.255.255").is_multicast());
  EXPECT_FALSE(ip("240.0.0.1").is_multicast());
  EXPECT_TRUE(ip("ff02::1").is_multicast());
  EXPECT_FALSE(ip("fe80::1").is_multicast());
  EXPECT_TRUE(ip("255.255.255.255").is_limited_broadcast());
  EXPECT_TRUE(ip("127.3.4.5").is_loopback());
  EXPECT_TRUE(ip("::1").is_loopback());
  EXPECT_TRUE(ip("169.254.1.1").is_link_local());
  EXPECT_TRUE(ip("fe80::1").is_link_local());
  EXPECT_TRUE(ip("febf::1").is_link_local());
  EXPECT_FALSE(ip("fec0::1").is_link_local());
  EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
  EXPECT_TRUE(IpAddress().is_unspecified());
}

TEST(IpAddress, HashSpreadsNeighbours) {
  std::unordered_set<std::size_t> low_bits;
  for (std::uint32_t i = 0; i < 4096; ++i) {
    low_bits.insert(std::hash<IpAddress>()(IpAddress::v4(0x0af40000 + i)) & 0xffff);
  }
  EXPECT_GT(low_bits.size(), 3700U);  // random would give about 3970
}

}  // namespace
}  // namespace sidetap::net
