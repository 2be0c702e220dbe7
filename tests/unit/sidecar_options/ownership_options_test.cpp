#include "sidecar/options/ownership_options.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using namespace sidetap::test;
using ownership::ServiceView;
using Texts = std::vector<std::string>;

/// As a tap with these variables has them.
OwnershipOptions options(const std::vector<std::pair<std::string, std::string>>& variables) {
  OwnershipOptions into;
  config::OptionSet set("test", "test");
  declare_ownership(set, into);
  const auto environment = [&](const std::string& name) -> std::optional<std::string> {
    for (const auto& [variable, value] : variables)
      if (variable == name) return value;
    return std::nullopt;
  };
  const char* const none[] = {"test"};
  EXPECT_EQ(set.parse(std::span<const char* const>(none).subspan(1), environment),
            config::ParseResult::kRun);
  return into;
}

Texts texts(const std::vector<net::Cidr>& prefixes) {
  Texts list;
  for (const net::Cidr& prefix : prefixes) list.push_back(prefix.to_string());
  return list;
}

Texts unowned(const OwnershipOptions& from) {
  return texts(unowned_peers(from, make_tapped_peers(from)));
}

TEST(OwnershipOptions, SelfIsEveryAddressOfThePodOnWhateverInterface) {
  const std::vector<net::Interface> interfaces = {
      {.name = "lo",
       .index = 1,
       .flags = IFF_LOOPBACK,
       .mtu = 65536,
       .mac = {},
       .addresses = {{ip("127.0.0.1"), 8, {}}, {ip("::1"), 128, {}}, {ip("203.0.113.9"), 32, {}}}},
      {.name = "eth0",
       .index = 2,
       .flags = 0,
       .mtu = 1500,
       .mac = mac(1),
       .addresses = {{ip("10.0.0.1"), 24, ip("10.0.0.255")}, {ip("fe80::1"), 64, {}}}},
      {.name = "net1",
       .index = 3,
       .flags = 0,
       .mtu = 1500,
       .mac = mac(2),
       .addresses = {{ip("192.168.7.1"), 24, ip("192.168.7.255")}}},
      {.name = "net2",
       .index = 4,
       .flags = 0,
       .mtu = 1500,
       .mac = mac(3),
       .shares_mac = true,
       .addresses = {}}};
  const auto self = make_self(options({{"POD_IPS", "10.0.0.1,fd00::1"}}), interfaces, "eth0");
  EXPECT_EQ(self.addresses,
            (std::vector<net::IpAddress>{ip("10.0.0.1"), ip("fd00::1"), ip("203.0.113.9"),
                                         ip("fe80::1"), ip("192.168.7.1")}));
  EXPECT_EQ(self.mac, mac(1));
  EXPECT_EQ(self.senders, (std::vector{mac(1), mac(2)})) << "those that nobody else has";
  EXPECT_EQ(self.broadcasts, std::vector<net::IpAddress>{ip("10.0.0.255")});
  EXPECT_EQ(texts(self.on_link.prefixes()), Texts{"10.0.0.0/24"}) << "of the captured interface";
}

TEST(OwnershipOptions, TheEngineGetsWhatIsConfigured) {
  const auto from = options({{"PODNET", "10.0.0.0/24"},
                             {"SVCNET", "10.96.0.0/16"},
                             {"UNTAPPED_SERVICES", "10.96.0.9"},
                             {"SERVICE_VIEW", "never"},
                             {"SERVER_PORTS", "40053"},
                             {"TAPPED_PEERS", "10.0.0.0/24,!10.0.0.7,10.0.0.9"}});
  ownership::Self self;
  self.addresses = {ip("10.0.0.1")};
  const auto config = make_engine_config(from, self, {ip("10.0.0.254")});
  EXPECT_EQ(config.self.addresses, std::vector<net::IpAddress>{ip("10.0.0.1")});
  EXPECT_EQ(config.gateways, std::vector<net::IpAddress>{ip("10.0.0.254")});
  EXPECT_TRUE(config.pod_subnets.contains(ip("10.0.0.3")));
  EXPECT_TRUE(config.service_subnets.contains(ip("10.96.3.3")));
  EXPECT_TRUE(config.untapped_services.contains(ip("10.96.0.9")));
  EXPECT_EQ(config.service_view, ServiceView::kNever);
  EXPECT_EQ(config.server_ports, std::vector<std::uint16_t>{40053});
  EXPECT_TRUE(config.tapped_peers.contains(ip("10.0.0.3"), false));
  EXPECT_FALSE(config.tapped_peers.contains(ip("10.0.0.3"), true));
  EXPECT_FALSE(config.tapped_peers.contains(ip("10.0.0.7"), false));
  EXPECT_TRUE(config.tapped_peers.contains(ip("10.0.0.9"), true));
}

TEST(OwnershipOptions, NobodyIsTappedWhereNobodyIsNamedAndThatIsSaid) {
  for (const char* peers : {"all", ",", "10.0.0.7,!10.0.0.7"}) {
    const auto from = options({{"TAPPED_PEERS", peers}, {"SVCNET", "10.96.0.0/16"}});
    EXPECT_TRUE(make_engine_config(from, {}, {}).tapped_peers.empty()) << peers;
    EXPECT_EQ(unowned(from), Texts()) << peers;
    EXPECT_FALSE(tapped_peers_doubt(from).empty()) << peers;
  }
  EXPECT_TRUE(tapped_peers_doubt(options({})).empty());
  EXPECT_TRUE(
      tapped_peers_doubt(options({{"TAPPED_PEERS", "all"}, {"PODNET", "10.0.0.0/24"}})).empty());
}

TEST(OwnershipOptions, ViewsThatCannotBeToldApartAreDoubted) {
  const std::pair<std::string, std::string> never{"SERVICE_VIEW", "never"};
  EXPECT_EQ(service_view_doubt(options({never})),
            "SERVICE_VIEW is never, but SVCNET names no subnets: set it");
  EXPECT_EQ(service_view_doubt(options({never, {"SVCNET", "10.96.0.0/16"}})), "");
  EXPECT_EQ(service_view_doubt(options({})), "");
}

TEST(OwnershipOptions, WhatIsLeftOpenIsNamedWithWhatIsAssumed) {
  const auto named = [](const std::vector<std::pair<std::string, std::string>>& variables) {
    std::string all;
    for (const std::string& sentence : assumptions(options(variables))) all += sentence + '\n';
    return all;
  };
  const std::pair<std::string, std::string> pods{"PODNET", "10.0.0.0/24"};
  const std::pair<std::string, std::string> services{"SVCNET", "10.96.0.0/16"};
  const std::pair<std::string, std::string> peers{"TAPPED_PEERS", "10.0.0.0/24"};
  EXPECT_EQ(named({pods, services, peers}), "");
  EXPECT_TRUE(named({services, peers}).starts_with("any address may be a pod's, since PODNET"));
  EXPECT_TRUE(named({pods, peers}).starts_with("no address is a Service's unless"));
  EXPECT_TRUE(named({pods, services}).starts_with("no peer is tapped, since TAPPED_PEERS"));
  const std::string contradiction = named({services, {"TAPPED_PEERS", "all"}});
  EXPECT_NE(contradiction.find("no peer is tapped: TAPPED_PEERS is all, but PODNET"),
            std::string::npos);
}

TEST(OwnershipOptions, TheFilterDropsServicesOnlyWhereTheEngineDoes) {
  const std::pair<std::string, std::string> services{"SVCNET", "10.96.0.0/16,fd00:96::/112"};
  const std::pair<std::string, std::string> peers{"TAPPED_PEERS", "10.0.0.0/24"};
  const Texts all = {"10.96.0.0/16", "fd00:96::/112"};
  EXPECT_EQ(unowned(options({services, peers})), all);
  EXPECT_EQ(unowned(options({services})), Texts());
  EXPECT_EQ(unowned(options({services, {"SERVICE_VIEW", "never"}})), all);
  EXPECT_EQ(unowned(options({services, peers, {"SERVICE_VIEW", "always"}})), Texts());
  EXPECT_EQ(
      unowned(options({{"SVCNET", "10.96.0.0/30"}, peers, {"UNTAPPED_SERVICES", "10.96.0.2"}})),
      (Texts{"10.96.0.0/31", "10.96.0.3/32"}));
  EXPECT_EQ(unowned(options({services, peers, {"UNTAPPED_SERVICES", "10.96.0.0/12,fd00::/16"}})),
            Texts());
}

TEST(OwnershipOptions, OfServicesThatAreKnownTheFilterDropsThoseWithTappedBackends) {
  const std::vector<net::IpAddress> hosts = {ip("10.96.0.1"), ip("10.96.0.9"), ip("10.200.0.1")};
  auto peers = ownership::TappedPeers::none();
  peers.tapped_services = ownership::TappedPeers::named(hosts).hosts;
  const std::pair<std::string, std::string> services{"SVCNET", "10.96.0.0/16"};
  EXPECT_EQ(texts(unowned_peers(options({services}), peers)),
            (Texts{"10.96.0.1/32", "10.96.0.9/32"}))
      << "what lies outside the Services' subnets is no Service";
  EXPECT_EQ(texts(unowned_peers(options({services, {"UNTAPPED_SERVICES", "10.96.0.8/30"}}), peers)),
            Texts{"10.96.0.1/32"});
  EXPECT_EQ(texts(unowned_peers(options({services, {"SERVICE_VIEW", "never"}}), peers)),
            Texts{"10.96.0.0/16"});
  EXPECT_EQ(texts(unowned_peers(options({}), peers)),
            (Texts{"10.96.0.1/32", "10.96.0.9/32", "10.200.0.1/32"}))
      << "without subnets, the registry's word";
  EXPECT_EQ(texts(unowned_peers(options({{"SVCNET", "fd00:96::/112"}}), peers)).size(), 3U)
      << "those of the other family say nothing";
}

}  // namespace
}  // namespace sidetap
