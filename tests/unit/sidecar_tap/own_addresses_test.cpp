// For which of a pod's addresses peers may rely on its tap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/tap/peer_feed.h"
#include "tests/support/addresses.h"

namespace sidetap {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

net::Interface interface(std::string name, std::initializer_list<std::string_view> addresses) {
  net::Interface made;
  made.name = std::move(name);
  for (const auto text : addresses) made.addresses.push_back({ip(text), 24, {}});
  return made;
}

const std::vector<net::Interface> kInterfaces = {
    interface("lo", {"127.0.0.1"}),
    interface("eth0", {"10.0.0.1", "fd00::1", "fe80::1"}),
    interface("net1", {"192.168.0.1"}),
};

TEST(OwnAddresses, AreThoseOfTheInterfacesThatForward) {
  const auto own = own_addresses(kInterfaces, {{"eth0", true}, {"net1", false}}, {});
  EXPECT_THAT(own.addresses, ElementsAre(ip("10.0.0.1"), ip("fd00::1"), ip("192.168.0.1")));
  EXPECT_THAT(own.forwarded, ElementsAre(ip("10.0.0.1"), ip("fd00::1")));
}

TEST(OwnAddresses, NoneIsForwardedWhenNothingIs) {
  const auto own = own_addresses(kInterfaces, {{"eth0", false}}, {ip("10.0.0.1"), ip("10.9.9.9")});
  EXPECT_THAT(own.addresses, ElementsAre(ip("10.0.0.1"), ip("fd00::1"), ip("10.9.9.9")));
  EXPECT_THAT(own.forwarded, IsEmpty());
  EXPECT_THAT(own_addresses(kInterfaces, {}, {ip("10.9.9.9")}).forwarded, IsEmpty());
}

TEST(OwnAddresses, APodsAddressAtAnInterfaceThatIsNotCapturedIsNotTheTaps) {
  const auto own = own_addresses(kInterfaces, {{"net1", true}}, {ip("10.0.0.1")});
  EXPECT_THAT(own.addresses, ElementsAre(ip("192.168.0.1")));
  EXPECT_THAT(own.forwarded, ElementsAre(ip("192.168.0.1")));
}

TEST(OwnAddresses, APodsAddressThatNoInterfaceHoldsCountsWhileAllForward) {
  const std::vector<net::IpAddress> pod_ips = {ip("10.9.9.9")};
  EXPECT_THAT(own_addresses(kInterfaces, {{"eth0", true}}, pod_ips).forwarded,
              ElementsAre(ip("10.0.0.1"), ip("fd00::1"), ip("10.9.9.9")));
  EXPECT_THAT(own_addresses(kInterfaces, {{"eth0", false}, {"net1", true}}, pod_ips).forwarded,
              ElementsAre(ip("192.168.0.1")));
}

}  // namespace
}  // namespace sidetap
