// The options of a collector, and what follows from them.
#include "sidecar/collector/collect_options.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/collector/offered_interface.h"
#include "sidecar/forwarding/tap_identities.h"
#include "tests/support/addresses.h"

namespace sidetap::collector {
namespace {

/// The error, empty if there is none.
std::string parse_into(CollectOptions& options, std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"--sensor", "10.0.0.9"});
  config::OptionSet set("collect", "");
  declare(set, options);
  const auto parsed =
      set.try_parse(arguments, [](const std::string&) { return std::optional<std::string>(); });
  if (!parsed) return parsed.error().text;
  const auto checked = check(options);
  return checked ? std::string() : checked.error().text;
}
std::string error_of(std::vector<const char*> arguments) {
  CollectOptions options;
  return parse_into(options, std::move(arguments));
}

/// Any file that can be read.
const std::string kFile = std::string(SIDETAP_SOURCE_DIR) + "/CMakeLists.txt";

TEST(CollectOptions, NeedASensorAlone) {
  CollectOptions options;
  EXPECT_EQ(parse_into(options, {}), "");
  EXPECT_EQ(options.taps.listen, (net::HostPort{"", 2003}));
  EXPECT_EQ(options.taps.data_port, 2004);
  EXPECT_TRUE(options.taps.protocol.datagram);
  EXPECT_EQ(options.taps.protocol.stats_every, std::chrono::seconds(30));
}

TEST(CollectOptions, AskTapsForNoMoreThanIsForwarded) {
  CollectOptions options;
  EXPECT_EQ(parse_into(options, {"--snaplen", "128"}), "");
  EXPECT_EQ(options.taps.protocol.snaplen, 128U);
}

TEST(CollectOptions, ConfineTheCollectorUnlessToldOtherwise) {
  CollectOptions options;
  EXPECT_EQ(parse_into(options, {}), "");
  EXPECT_TRUE(options.sensors.sandbox);
  EXPECT_EQ(parse_into(options, {"--sandbox", "off"}), "");
  EXPECT_FALSE(options.sensors.sandbox);
  EXPECT_EQ(error_of({"--sandbox", "maybe"}).find('\n'), std::string::npos);
  EXPECT_NE(error_of({"--sandbox", "maybe"}), "");
}

TEST(CollectOptions, RefuseWhatDoesNotGoTogether) {
  EXPECT_NE(error_of({"--tap-tls-cert", kFile.c_str()}), "");
  EXPECT_NE(error_of({"--tap-tls-ca", kFile.c_str()}), "");
  EXPECT_NE(error_of({"--tap-tls-cert", kFile.c_str(), "--tap-tls-key", kFile.c_str()}), "")
      << "datagrams are not encrypted";
  EXPECT_EQ(
      error_of({"--tap-tls-cert", kFile.c_str(), "--tap-tls-key", kFile.c_str(), "--data", "tcp"}),
      "");
  EXPECT_NE(error_of({"--data", "tcp", "--data-port", "2003"}), "");
  EXPECT_EQ(error_of({"--data-port", "2003"}), "") << "UDP and TCP have ports of their own";
  EXPECT_NE(error_of({"--tap-user", "me"}), "");
}

TEST(CollectOptions, ARegistryNeedsItsCa) {
  EXPECT_NE(error_of({"--registry", "registry.svc"}).find("--registry-ca"), std::string::npos);
  CollectOptions options;
  EXPECT_EQ(parse_into(options, {"--registry", "registry.svc", "--registry-ca",
                                 "-----BEGIN CERTIFICATE-----", "--unproven", "refuse"}),
            "");
  EXPECT_EQ(options.registry.address, (net::HostPort{"registry.svc", 8444}));
  EXPECT_FALSE(options.admit_unproven);
  EXPECT_NE(error_of({"--unproven", "perhaps"}).find("admit, refuse"), std::string::npos);
  EXPECT_NE(
      error_of({"--registry", "registry.svc", "--registry-ca", "/nowhere"}).find("--registry-ca"),
      std::string::npos);
  EXPECT_EQ(parse_into(options, {"--registry", "registry.svc", "--registry-ca", kFile.c_str()}),
            "");
  EXPECT_EQ(options.registry.ca, kFile) << "it is read at each connection";
  EXPECT_EQ(error_of({"--unproven", "refuse"}),
            "--unproven refuse: needs --registry, which proves taps")
      << "or every tap would be admitted on its word";
}

TEST(CollectOptions, TrustOtherCollectorsByTheRegistrysCa) {
  EXPECT_NE(error_of({"--sensor-tls", "registry"}).find("--registry-ca"), std::string::npos);
  EXPECT_EQ(error_of({"--sensor-tls", "registry", "--registry", "registry.svc", "--registry-ca",
                      "-----BEGIN CERTIFICATE-----"}),
            "");
}

TEST(CollectOptions, DrainForAWhileAtTheirEnd) {
  CollectOptions options;
  EXPECT_EQ(parse_into(options, {}), "");
  EXPECT_EQ(options.drain_ms, 5'000);
  EXPECT_FALSE(options.registry.address);
  EXPECT_TRUE(options.admit_unproven);
  EXPECT_EQ(parse_into(options, {"--drain", "0s"}), "");
  EXPECT_EQ(options.drain_ms, 0);
  EXPECT_NE(error_of({"--drain", "2h"}).find("--drain"), std::string::npos);
}

TEST(CollectOptions, ChooseTheirSensorByHashToo) {
  CollectOptions options;
  EXPECT_EQ(parse_into(options, {"--sensor-mode", "hash"}), "");
  EXPECT_NE(error_of({"--sensor-mode", "hash", "--output", "vxlan"}).find("--sensor-mode hash"),
            std::string::npos);
}

rpcap::InterfaceAddress entry(const char* address) { return {ip(address), {}, {}, {}}; }

std::vector<std::string> addresses_of(const rpcap::Interface& interface) {
  std::vector<std::string> texts;
  for (const auto& each : interface.addresses) texts.push_back(each.address->to_string());
  return texts;
}

TEST(OfferedInterface, HasItsOwnAddressesAndOneOfEachSubnetOfTaps) {
  const auto interface =
      offered_interface("collector", "sidetap/collector-0", {entry("10.244.0.9")},
                        {ip("10.244.0.10"), ip("10.244.1.4"), ip("10.244.1.5"), ip("fd00::1:5"),
                         ip("fd00::1:6"), ip("fe80::1"), ip("127.0.0.1")});
  EXPECT_EQ(interface.name, "collector");
  EXPECT_EQ(addresses_of(interface),
            (std::vector<std::string>{"10.244.0.9", "10.244.1.4", "fd00::1:5"}));
}

TEST(OfferedInterface, HasABoundedNumberOfAddresses) {
  std::vector<net::IpAddress> taps;
  for (std::uint32_t i = 0; i < 1'000; ++i)
    taps.push_back(net::IpAddress::v4(0x0a000001 + i * 256));
  EXPECT_EQ(offered_interface("collector", "", {}, taps).addresses.size(), kMostAddresses);
}

TEST(TapIdentities, KeepATapThatHasGoneForAWhile) {
  forwarding::TapIdentities identities;
  identities.add(
      1,
      {.from = ip("10.0.0.1"), .description = "shop/cart", .interface = "eth0", .addresses = {}});
  identities.gone(1);
  ASSERT_NE(identities.find(1), nullptr) << "its packets may still wait";
  EXPECT_EQ(identities.find(1)->pod_namespace(), "shop");
  for (std::uint32_t i = 2; i < 2 + forwarding::TapIdentities::kMostGone; ++i) {
    identities.add(i, {});
    identities.gone(i);
  }
  EXPECT_EQ(identities.find(1), nullptr);
}

}  // namespace
}  // namespace sidetap::collector
