// What an operator may say of outputs: VNIs of namespaces, and an interface to write into.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/options/options.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

/// The error, empty if there is none.
std::string parse_output(std::vector<const char*> arguments, OutputOptions& into) {
  RunOptions options;
  config::OptionSet set("run", "");
  declare(set, options);
  const auto parsed =
      set.try_parse(arguments, [](const std::string&) { return std::optional<std::string>(); });
  if (!parsed) return parsed.error().text;
  const auto checked = check_values(options);
  into = options.output;
  return checked ? std::string() : checked.error().text;
}
std::string refusal_of(std::vector<const char*> arguments) {
  OutputOptions options;
  return parse_output(std::move(arguments), options);
}

TEST(OutputOptions, NamespacesHaveNumbers) {
  OutputOptions options;
  ASSERT_EQ(parse_output(
                {"--sensor", "10.0.0.1", "--output", "vxlan", "--vxlan-vni", "7",
                 "--vxlan-vni-by-namespace", "on", "--vxlan-vnis", "shop=100,kube-system=16777215"},
                options),
            "");
  EXPECT_EQ(options.vxlan.vni.of("shop"), 100U);
  EXPECT_EQ(options.vxlan.vni.of("kube-system"), 16'777'215U);
  EXPECT_EQ(options.vxlan.vni.of("web"), forwarding::derived_vni("web"));
  EXPECT_EQ(options.vxlan.vni.of(""), 7U);
}

TEST(OutputOptions, AreWithoutNumbersOfNamespacesByThemselves) {
  OutputOptions options;
  ASSERT_EQ(parse_output({"--sensor", "10.0.0.1", "--output", "vxlan"}, options), "");
  EXPECT_EQ(options.vxlan.vni.of("shop"), 0U);
}

TEST(OutputOptions, RefuseListsOfNumbersThatAreNone) {
  std::string many = "a=1";
  for (int i = 0; i < 1'024; ++i) many += ",n" + std::to_string(i) + "=1";
  for (const std::string& list :
       {std::string("shop"), std::string("shop="), std::string("=7"), std::string("Shop=7"),
        std::string("shop=16777216"), std::string("shop=7,"), std::string("shop=7,shop=7"), many}) {
    EXPECT_THAT(refusal_of({"--sensor", "10.0.0.1", "--output", "vxlan", "--vxlan-vni-by-namespace",
                            "on", "--vxlan-vnis", list.c_str()}),
                HasSubstr("NAMESPACE=NUMBER"))
        << list;
  }
}

TEST(OutputOptions, AnInterfaceNeedsNoSensor) {
  OutputOptions options;
  ASSERT_EQ(parse_output({"--output", "interface", "--output-interface", "mon0"}, options), "");
  EXPECT_EQ(options.kind, OutputKind::kInterface);
  EXPECT_EQ(options.interface.name, "mon0");
}

TEST(OutputOptions, AnInterfaceGoesWithItsOutputAlone) {
  EXPECT_THAT(refusal_of({"--output", "interface"}), HasSubstr("--output-interface: required"));
  EXPECT_THAT(refusal_of({"--sensor", "10.0.0.1", "--output-interface", "mon0"}),
              HasSubstr("needs --output interface"));
  EXPECT_THAT(refusal_of({"--output", "interface", "--output-interface", "mon0", "--interface",
                          "eth0,mon0"}),
              HasSubstr("mon0: is itself captured"));
  EXPECT_THAT(
      refusal_of({"--output", "interface", "--output-interface", "mon0", "--sensor-tls", "client"}),
      HasSubstr("--sensor-tls: cannot be combined with --output interface"));
}

}  // namespace
}  // namespace sidetap
