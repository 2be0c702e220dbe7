// Which interfaces a tap or a collector may write packets into. The loopback interface stands for
// any that there is.
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include "sidecar/tap/interface_choice.h"
#include "tests/support/addresses.h"

namespace sidetap {
namespace {

using testing::HasSubstr;

RunOptions into_interface(std::string name) {
  RunOptions options;
  options.output.kind = OutputKind::kInterface;
  options.output.interface.name = std::move(name);
  return options;
}

/// The loopback interface, as if it had this address only.
std::vector<net::Interface> loopback_with(const char* address) {
  net::Interface interface;
  interface.name = "lo";
  interface.index = if_nametoindex("lo");
  interface.addresses.push_back({.address = ip(address), .prefix_length = 24, .broadcast = {}});
  return {interface};
}

/// The error, empty if there is none.
std::string objection(const RunOptions& options, const std::vector<std::string>& captured,
                      const std::vector<net::Interface>& interfaces) {
  const auto checked = check_output_interface(options, captured, interfaces);
  return checked ? std::string() : checked.error().text;
}

TEST(OutputInterface, IsNotOneThatIsCaptured) {
  EXPECT_THAT(objection(into_interface("lo"), {"eth9", "lo"}, {}), HasSubstr("is itself captured"));
  EXPECT_THAT(objection(into_interface("none9"), {"none9"}, {}), HasSubstr("is itself captured"));
  EXPECT_EQ(objection(into_interface("lo"), {"eth9"}, {}), "");
}

TEST(OutputInterface, IsNotOneByWhichThePodTalks) {
  EXPECT_THAT(objection(into_interface("lo"), {}, loopback_with("10.0.0.7")),
              HasSubstr("lo: has the address 10.0.0.7"));
  EXPECT_EQ(objection(into_interface("lo"), {}, loopback_with("169.254.0.7")), "");
}

TEST(OutputInterface, MayComeLater) {
  EXPECT_EQ(objection(into_interface("none9"), {"eth9"}, loopback_with("10.0.0.7")), "");
}

TEST(OutputInterface, IsNoMatterToOtherOutputs) {
  RunOptions options = into_interface("lo");
  options.output.kind = OutputKind::kVxlan;
  EXPECT_EQ(objection(options, {"lo"}, loopback_with("10.0.0.7")), "");
}

}  // namespace
}  // namespace sidetap
