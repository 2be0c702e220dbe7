#include "shared/net/transport_address.h"

#include <algorithm>
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/addresses.h"

namespace sidetap::net {
namespace {

TEST(TransportAddress, ComesBackFromItsText) {
  for (const char* text : {"10.1.2.3:53/udp", "0.0.0.0:65535/tcp", "[fd00::1]:53/udp",
                           "[::]:30080/sctp", "10.1.2.3:1/dccp", "10.1.2.3:1/udplite"}) {
    const auto parsed = TransportAddress::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->to_string(), text);
  }
  EXPECT_EQ(TransportAddress::parse("10.1.2.3:53/udp"), (TransportAddress{ip("10.1.2.3"), 17, 53}));
  EXPECT_EQ(TransportAddress::parse("[fd00::1]:80/TCP"), (TransportAddress{ip("fd00::1"), 6, 80}))
      << "Kubernetes writes protocols in upper case";
}

TEST(TransportAddress, AMappedAddressIsTheIpv4Address) {
  const auto mapped = TransportAddress::parse("[::ffff:10.1.2.3]:80/tcp");
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->to_string(), "10.1.2.3:80/tcp");
}

TEST(TransportAddress, TheRestIsRefused) {
  for (const char* text : {"",
                           "/",
                           ":/",
                           "10.1.2.3",
                           "10.1.2.3:80",
                           "10.1.2.3/tcp",
                           ":80/tcp",
                           "[]:80/tcp",
                           "10.1.2.3:/tcp",
                           "10.1.2.3:80/",
                           "10.1.2.3:0/tcp",
                           "10.1.2.3:99999/tcp",
                           "10.1.2.3:-1/tcp",
                           "10.1.2.3:+1/tcp",
                           "10.1.2.3: 80/tcp",
                           "10.1.2.3:80/icmp",
                           "10.1.2.3:80/6",
                           "10.1.2.3:80/tcp ",
                           "10.1.2.3:80/tcp/tcp",
                           "10.1.2.300:80/tcp",
                           "[10.1.2.3]:80/tcp",
                           "fd00::1:80/tcp",
                           "[::1:80/tcp",
                           "::1]:80/tcp",
                           "[[::1]]:80/tcp",
                           "[fe80::1%eth0]:80/tcp",
                           "10.0.0.0/8:80/tcp"}) {
    EXPECT_FALSE(TransportAddress::parse(text)) << text;
  }
}

TEST(TransportAddress, WithAProtocolThatHasNoNameHasNoText) {
  EXPECT_EQ((TransportAddress{ip("10.1.2.3"), 1, 80}).to_string(), "");
  EXPECT_EQ(transport_protocol_name(1), "");
  EXPECT_EQ(transport_protocol("icmp"), std::nullopt);
}

TEST(TransportAddress, NamesAndNumbersOfProtocolsBelongTogether) {
  constexpr std::array<std::uint8_t, 5> kNumbers{6, 17, 33, 132, 136};
  for (const std::uint8_t number : kNumbers) {
    EXPECT_EQ(transport_protocol(transport_protocol_name(number)), number);
  }
}

TEST(TransportAddress, OrdersByAddressProtocolAndPort) {
  const TransportAddress first{ip("10.0.0.1"), 17, 80}, second{ip("10.0.0.2"), 6, 53},
      third{ip("10.0.0.2"), 6, 80}, fourth{ip("10.0.0.2"), 17, 53}, fifth{ip("fd00::1"), 6, 1};
  const std::vector<TransportAddress> all{first, second, third, fourth, fifth};
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
}

TEST(TransportAddress, IsNeverLongerThanItsLimit) {
  const TransportAddress longest{IpAddress::v6(~0ULL, ~0ULL), 136, 65535};
  EXPECT_EQ(longest.to_string().size() + 3, kMostTransportAddressBytes) << "quotes and a comma";
}

}  // namespace
}  // namespace sidetap::net
