// Profiles in the configuration file.
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webhook_configuration/configuration_text.h"

namespace sidetap::configuration {
namespace {

using test::expect_refused;
using test::read;
using testing::ElementsAre;
using testing::IsEmpty;

/// The values that the profile "edge" sets, by key.
std::map<std::string, std::string> edge_of(const std::string& text) {
  std::map<std::string, std::string> values;
  const Configuration configuration = read(text);
  const auto found = configuration.profiles.find("edge");
  EXPECT_NE(found, configuration.profiles.end());
  if (found == configuration.profiles.end()) return values;
  for (const auto& [setting, value] : found->second.values)
    values[std::string(setting->key)] = value;
  return values;
}

TEST(ProfilesSection, SetsEveryKeyOfAProfile) {
  const std::string text = R"(
sensor: {address: a, mode: balance, secretName: login}
profiles:
  edge:
    namespaces: [shop, web]
    sensor: {address: [b, "c:7"], port: 2005, mode: failover, tls: off,
             secretName: other}
    sidecar: {output: rpcap, filter: port 80, flowSampling: 4, snaplen: 96, maxRate: 1M,
              maxPacketRate: 7, paused: on}
  empty: {}
  deleted:
)";
  using Values = std::map<std::string, std::string>;
  EXPECT_EQ(edge_of(text), (Values{{"sensor.address", "b:2005,c:7"},
                                   {"sensor.mode", "failover"},
                                   {"sensor.tls", "off"},
                                   {"sidecar.filter", "port 80"},
                                   {"sidecar.flowSampling", "4"},
                                   {"sidecar.maxPacketRate", "7"},
                                   {"sidecar.maxRate", "1M"},
                                   {"sidecar.output", "rpcap"},
                                   {"sidecar.paused", "on"},
                                   {"sidecar.snaplen", "96"}}));
  const Configuration configuration = read(text);
  EXPECT_EQ(configuration.taps[tap::kSensor], "a:2003");
  ASSERT_EQ(configuration.profiles.size(), 2U) << "null removes a profile, as helm does";
  const Profile& edge = configuration.profiles.at("edge");
  EXPECT_THAT(edge.namespaces, ElementsAre("shop", "web"));
  EXPECT_EQ(edge.sensor_secret, "other");
  EXPECT_THAT(configuration.profiles.at("empty").values, IsEmpty());
  EXPECT_FALSE(configuration.profiles.at("empty").sensor_secret);
}

TEST(ProfilesSection, GivesSensorsThePortOfTheirKind) {
  const auto sensors = [](const std::string& all, const std::string& profile) {
    return edge_of("sensor: {address: a" + all + "}\nprofiles: {edge: {" + profile + "}}")
        .at("sensor.address");
  };
  EXPECT_EQ(sensors("", "sensor: {address: b}"), "b:2003");
  EXPECT_EQ(sensors(", port: 9", "sensor: {address: b}"), "b:9");
  EXPECT_EQ(sensors(", port: 9", "sensor: {address: b, port: 8}"), "b:8");
  EXPECT_EQ(sensors(", port: 9", "sensor: {address: b}, sidecar: {output: vxlan}"), "b:4789");
}

TEST(ProfilesSection, HoldsOnlyWhatTheRegistryMayChange) {
  expect_refused("profiles: {edge: {registry: {}}}", "profiles.edge.registry: unknown key",
                 "namespaces, sensor, sidecar");
  expect_refused("profiles: {edge: {sidecar: {interface: eth0}}}",
                 "profiles.edge.sidecar.interface: unknown key", "snaplen, output, filter");
  expect_refused("profiles: {edge: {sensor: {adress: a}}}",
                 "profiles.edge.sensor.adress: unknown key",
                 "port, address, mode, tls, secretName");
}

TEST(ProfilesSection, RefusesWhatItCannotMean) {
  expect_refused("profiles: [edge]", "profiles", "a mapping");
  expect_refused("profiles: {edge: on}", "profiles.edge: true", "a mapping");
  expect_refused("profiles: {Edge: {}}", "profiles.Edge", "lower-case");
  expect_refused("profiles: {a.b: {}}", "profiles.a.b", "lower-case");
  expect_refused("profiles: {edge: {namespaces: shop}}", "profiles.edge.namespaces", "a list");
  expect_refused("profiles: {edge: {namespaces: [a.b]}}", "profiles.edge.namespaces",
                 "the name of a namespace");
  expect_refused("profiles: {edge: {namespaces: [a]}, lab: {namespaces: [b, a]}}",
                 "profiles.lab.namespaces: a", "edge");
  expect_refused("profiles: {edge: {sidecar: {snaplen: 1}}}", "profiles.edge.sidecar.snaplen",
                 "64 to 262144");
  expect_refused("profiles: {edge: {sidecar: {paused: 1}}}", "profiles.edge.sidecar.paused",
                 "true, false");
  expect_refused("profiles: {edge: {sensor: {secretName: '-'}}}", "profiles.edge.sensor.secretName",
                 "a Kubernetes name");
  expect_refused("profiles: {edge: {sensor: {address: ''}}}", "profiles.edge.sensor.address",
                 "sidecar.paused");
  expect_refused("sensor: {address: a}\nprofiles: {edge: {sensor: {port: 9}}}",
                 "profiles.edge.sensor.port: 9", "beside an address");
}

TEST(ProfilesSection, RefusesAnOutputWithoutASensorForIt) {
  expect_refused("profiles: {edge: {sidecar: {output: rpcap}}}",
                 "profiles.edge.sidecar.output: rpcap", "sensor.address");
  expect_refused("sensor: {address: a}\nprofiles: {edge: {sidecar: {output: vxlan}}}",
                 "profiles.edge.sidecar.output: vxlan", "sensor.address");
  for (const char* const mode : {"failover", "hash"}) {
    expect_refused(std::string("sensor: {address: a, mode: ") + mode +
                       "}\nprofiles: {edge: {sensor: {address: b}, sidecar: {output: vxlan}}}",
                   "profiles.edge.sidecar.output: vxlan", "do not answer");
  }
  expect_refused("sensor: {address: a}\nprofiles: {edge: {sidecar: {output: pcap}}}",
                 "profiles.edge.sidecar.output: pcap", "PCAP_DIR");
  EXPECT_EQ(edge_of("sensor: {address: a}\nprofiles: {edge: {sidecar: {output: rpcap}}}").size(),
            1U);
}

TEST(ProfilesSection, IsBounded) {
  std::string text = "profiles:\n";
  for (std::size_t i = 0; i < kMostProfiles; ++i) text += "  p" + std::to_string(i) + ": {}\n";
  EXPECT_EQ(read(text).profiles.size(), kMostProfiles);
  expect_refused(text + "  one-more: {}\n", "profiles", "at most 64 profiles");

  std::string names = "profiles: {edge: {namespaces: [n0";
  for (std::size_t i = 1; i < kMostProfileNamespaces; ++i) names += ",n" + std::to_string(i);
  EXPECT_TRUE(parse_configuration(names + "]}}", "c.yaml"));
  expect_refused(names + ",one-more]}}", "profiles", "at most 4096 namespaces");
}

TEST(ProfileOf, IsTheOneThatThePodAsksForElseThatOfItsNamespace) {
  Configuration configuration = read(
      "sensor: {address: a}\nprofiles: {edge: {namespaces: [shop]}, lab: {sidecar: {snaplen: "
      "96}}}");
  const auto name = [&](std::string_view name_space, std::string_view asked) {
    return std::string(profile_name_of(configuration, name_space, asked));
  };
  EXPECT_EQ(name("shop", ""), "edge");
  EXPECT_EQ(name("shop", "lab"), "lab");
  EXPECT_EQ(name("other", "lab"), "lab");
  EXPECT_EQ(name("shop", "nobody"), "edge");
  EXPECT_EQ(name("other", ""), "");
  EXPECT_EQ(profile_of(configuration, "other", "nobody"), nullptr);
  const Profile* const lab = profile_of(configuration, "shop", "lab");
  ASSERT_NE(lab, nullptr);
  EXPECT_EQ(value_of(tap::kSnaplen, lab, configuration), "96");
  EXPECT_EQ(value_of(tap::kSensor, lab, configuration), "a:2003");
  EXPECT_EQ(value_of(tap::kSnaplen, nullptr, configuration), "262144");
  configuration.sidecar.overrides.reset();
  EXPECT_EQ(name("shop", "lab"), "edge") << "pods may not choose";
}

}  // namespace
}  // namespace sidetap::configuration
