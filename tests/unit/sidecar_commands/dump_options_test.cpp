#include "sidecar/commands/dump_options.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sidecar/mesh/mesh_kind.h"

namespace sidetap {
namespace {

using config::ParseResult;

ParseResult parse_dump(const std::vector<const char*>& arguments, DumpOptions& into,
                       const std::map<std::string, std::string>& environment = {}) {
  return parse_dump_options(
      arguments,
      [&](const std::string& name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        return found == environment.end() ? std::nullopt : std::optional(found->second);
      },
      into);
}

TEST(DumpOptionsTest, ByItselfItIsBoundedAndGoesToStandardOutput) {
  DumpOptions options;
  ASSERT_EQ(parse_dump({}, options), ParseResult::kRun);
  EXPECT_EQ(options.file, "-");
  EXPECT_EQ(options.format, forwarding::CaptureFormat::kPcapng);
  EXPECT_EQ(options.bounds.time_ms, 300'000);
  EXPECT_EQ(options.bounds.packets, 0u);
  EXPECT_EQ(options.bounds.bytes, 1ULL << 30);
  EXPECT_EQ(options.expression, "");
  EXPECT_FALSE(options.owned);
}

TEST(DumpOptionsTest, WhatFollowsTheOptionsIsTheExpression) {
  DumpOptions options;
  ASSERT_EQ(parse_dump({"--time", "10s", "--raw", "--packets=7", "tcp", "port", "443"}, options),
            ParseResult::kRun);
  EXPECT_EQ(options.expression, "tcp port 443");
  EXPECT_EQ(options.bounds.time_ms, 10'000);
  EXPECT_EQ(options.bounds.packets, 7u);
  EXPECT_TRUE(options.raw);
}

TEST(DumpOptionsTest, TwoDashesMayStandInFrontOfTheExpression) {
  DumpOptions options;
  ASSERT_EQ(parse_dump({"--owned", "--", "not port 22"}, options), ParseResult::kRun);
  EXPECT_EQ(options.expression, "not port 22");
  EXPECT_TRUE(options.owned);
}

TEST(DumpOptionsTest, ThePlaintextOfAMeshIsShownWhereSomebodyAsks) {
  DumpOptions options;
  const std::map<std::string, std::string> tap = {{"MESH", "both"},
                                                  {"MESH_KIND", "linkerd"},
                                                  {"MESH_PORTS", "10000"},
                                                  {"MESH_CLIENT", "192.0.2.7"},
                                                  {"STATUS_LISTEN", ":15920"}};
  ASSERT_EQ(parse_dump({}, options, tap), ParseResult::kRun);
  EXPECT_FALSE(options.mesh) << "whatever the tap forwards";
  ASSERT_EQ(parse_dump({"--mesh", "tcp", "port", "8080"}, options, tap), ParseResult::kRun);
  EXPECT_TRUE(options.mesh);
  EXPECT_EQ(options.expression, "tcp port 8080");
  EXPECT_EQ(options.mesh_rules.kind, mesh::Kind::kLinkerd);
  EXPECT_EQ(options.mesh_rules.ports, std::vector<std::uint16_t>{10'000});
  EXPECT_EQ(options.mesh_rules.clients.size(), 1u);
  ASSERT_TRUE(options.status_listen);
  EXPECT_EQ(options.status_listen->port, 15'920);
  EXPECT_EQ(parse_dump({"--mesh", "--mesh-client", "224.0.0.1"}, options), ParseResult::kError);
}

TEST(DumpOptionsTest, RefusesAnExpressionThatDoesNotCompileAndAFlagThatIsNone) {
  DumpOptions options;
  EXPECT_EQ(parse_dump({"port", "http"}, options), ParseResult::kError);
  EXPECT_EQ(parse_dump({"--nonsense", "1"}, options), ParseResult::kError);
  EXPECT_EQ(parse_dump({"--time"}, options), ParseResult::kError);
}

TEST(DumpOptionsTest, TheEnvironmentOfTheTapSaysWhichPodItIs) {
  DumpOptions options;
  ASSERT_EQ(parse_dump({}, options,
                       {{"POD_NAME", "web-1"},
                        {"POD_NAMESPACE", "shop"},
                        {"POD_IPS", "10.99.0.2"},
                        {"SENSOR", "10.0.0.5"},
                        {"REGISTRY", "sidetap.example"},
                        {"FILTER", "not port 9100"},
                        {"PCAP_FORMAT", "pcap"}}),
            ParseResult::kRun);
  EXPECT_EQ(options.pod.name, "web-1");
  EXPECT_EQ(options.pod.space, "shop");
  EXPECT_EQ(options.ownership.pod_ips.size(), 1u);
  ASSERT_EQ(options.sensors.size(), 1u);
  EXPECT_EQ(options.sensors[0].address.port, 2003);
  EXPECT_EQ(options.registry.host, "sidetap.example");
  EXPECT_EQ(options.expression, "") << "a dump sees what the tap leaves out, too";
  EXPECT_EQ(options.format, forwarding::CaptureFormat::kPcapng);
}

}  // namespace
}  // namespace sidetap
