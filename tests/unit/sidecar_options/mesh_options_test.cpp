// What an operator may ask for in a pod of a mesh.
#include "sidecar/options/mesh_options.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/options/options.h"
#include "tests/support/addresses.h"

namespace sidetap {
namespace {

config::ParseResult parse_mesh(std::initializer_list<const char*> arguments, MeshOptions& into) {
  std::vector<const char*> all = {"--sensor", "10.0.0.1"};
  all.insert(all.end(), arguments);
  RunOptions options;
  const auto nothing_set = [](const std::string&) { return std::optional<std::string>(); };
  const auto parsed = parse_run_options(all, nothing_set, options);
  into = options.mesh;
  return parsed;
}

TEST(MeshOptions, AreOffByThemselves) {
  MeshOptions options;
  EXPECT_EQ(parse_mesh({}, options), config::ParseResult::kRun);
  EXPECT_EQ(options.mode, MeshMode::kOff);
  EXPECT_EQ(options.kind, std::nullopt);
}

TEST(MeshOptions, SetEachPart) {
  MeshOptions options;
  ASSERT_EQ(parse_mesh({"--mesh", "plaintext", "--mesh-kind", "linkerd", "--mesh-ports", "10000",
                        "--mesh-client", "192.0.2.7,fd00::7", "--mesh-cleartext-ok"},
                       options),
            config::ParseResult::kRun);
  EXPECT_EQ(options.mode, MeshMode::kPlaintext);
  EXPECT_EQ(options.kind, mesh::Kind::kLinkerd);
  EXPECT_THAT(options.ports, testing::ElementsAre(10'000));
  EXPECT_THAT(options.clients, testing::ElementsAre(ip("192.0.2.7"), ip("fd00::7")));
}

TEST(MeshOptions, PlaintextNeedsTlsOrTheOperatorsWord) {
  MeshOptions options;
  for (const char* mode : {"both", "plaintext"}) {
    EXPECT_EQ(parse_mesh({"--mesh", mode}, options), config::ParseResult::kError);
    EXPECT_EQ(parse_mesh({"--mesh", mode, "--output", "vxlan"}, options),
              config::ParseResult::kError);
    EXPECT_EQ(parse_mesh({"--mesh", mode, "--sensor-tls", "client"}, options),
              config::ParseResult::kRun);
    EXPECT_EQ(parse_mesh({"--mesh", mode, "--mesh-cleartext-ok"}, options),
              config::ParseResult::kRun);
    EXPECT_EQ(parse_mesh({"--mesh", mode, "--output", "pcap", "--pcap-dir", "/tmp"}, options),
              config::ParseResult::kRun)
        << "files stay in the pod";
    EXPECT_EQ(parse_mesh({"--mesh", mode, "--output", "interface", "--output-interface", "mon0"},
                         options),
              config::ParseResult::kRun)
        << "so does what goes to a sensor in the pod";
  }
}

TEST(MeshOptions, AClientIsOneAddressOfEachFamily) {
  MeshOptions options;
  for (const char* clients : {"192.0.2.7,192.0.2.8", "224.0.0.1", "0.0.0.0", "::", "client"})
    EXPECT_EQ(
        parse_mesh({"--mesh", "both", "--mesh-cleartext-ok", "--mesh-client", clients}, options),
        config::ParseResult::kError)
        << clients;
}

}  // namespace
}  // namespace sidetap
