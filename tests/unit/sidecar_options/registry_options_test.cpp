#include "sidecar/options/registry_options.h"

#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/tap/assigned.h"
#include "shared/tap/settings.h"
#include "sidecar/options/options.h"

namespace sidetap {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

/// What a tap with this variable has; the Error holds the line that it prints.
Result<RegistryOptions> registry_options(const std::string& variable, const std::string& value) {
  RegistryOptions into;
  config::OptionSet set("tap", "");
  declare_registry(set, into);
  const auto parsed = set.try_parse({}, [&](const std::string& name) -> std::optional<std::string> {
    if (name != variable) return std::nullopt;
    return value;
  });
  if (!parsed) return parsed.error();
  return into;
}

std::vector<std::string> control(const std::string& text) {
  auto options = registry_options("REGISTRY_CONTROL", text);
  EXPECT_TRUE(options) << options.error().text;
  return options ? options->control : std::vector<std::string>{"refused"};
}

TEST(RegistryOptions, TheRegistryMayChangeEverythingUnlessTheOperatorSaysOtherwise) {
  EXPECT_THAT(control(""), ElementsAreArray(tap::kControls));
  EXPECT_THAT(control("on"), ElementsAreArray(tap::kControls));
  EXPECT_THAT(control("off"), IsEmpty());
  EXPECT_THAT(control("rate,filter,rate"), ElementsAre("filter", "rate"));
  EXPECT_THAT(control("sensors, pause"), ElementsAre("sensors", "pause"));
}

TEST(RegistryOptions, WhatNobodyCanChangeIsRefusedWithWhatIsAccepted) {
  for (const char* text : {"sensor", "on,off", "filter,", "ON"}) {
    const auto options = registry_options("REGISTRY_CONTROL", text);
    ASSERT_FALSE(options) << text;
    EXPECT_THAT(options.error().text,
                HasSubstr("environment variable REGISTRY_CONTROL: \"" + std::string(text) + "\""));
    EXPECT_THAT(
        options.error().text,
        HasSubstr("on, off, or several of sensors, filter, sampling, snaplen, rate, pause"));
  }
}

TEST(RegistryOptions, AsksForTheProfileOfTheAnnotation) {
  EXPECT_EQ(registry_options("PROFILE", "edge")->profile, "edge");
  EXPECT_EQ(registry_options("NONE", "edge")->profile, "");
}

/// The line that a tap prints that would have its token by order; empty: none.
std::string fault_of_token_by_order(bool stdin_orders) {
  RunOptions options;
  options.sessions.sensors.resize(1);
  options.ipv6_families.resize(1);
  options.registry.token_file = tap::kTokenFromOrders;
  options.stdin_orders = stdin_orders;
  const auto checked = check_values(options);
  return checked ? std::string() : checked.error().text;
}

TEST(RegistryOptions, ATokenByOrderNeedsOrders) {
  EXPECT_THAT(fault_of_token_by_order(false), HasSubstr("--stdin-orders on"));
  EXPECT_EQ(fault_of_token_by_order(true), "");
}

}  // namespace
}  // namespace sidetap
