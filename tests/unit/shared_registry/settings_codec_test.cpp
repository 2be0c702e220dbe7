// The settings of a profile, from the registry to a tap.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Settings settings_read(const std::string& text) {
  return std::get<Settings>(decode_registry_message(text).value());
}
Settings settings_back(const Settings& settings) { return settings_read(encode(settings)); }

TEST(SettingsMessage, IsThisText) {
  EXPECT_EQ(encode(Settings{7, "edge", {{"SENSOR", "192.0.2.9:2003"}, {"FILTER", ""}}}),
            R"({"generation":7,"profile":"edge","type":"settings",)"
            R"("values":{"FILTER":"","SENSOR":"192.0.2.9:2003"}})");
}

TEST(SettingsMessage, ComesBackAsItWas) {
  const Settings settings{~std::uint64_t{0}, "edge", {{"A", "1"}, {"B", "\xc3\xbc \"\\\n"}}};
  EXPECT_EQ(settings_back(settings), settings);
  EXPECT_EQ(settings_back(Settings{}), Settings{});
}

TEST(SettingsMessage, MayHaveOtherMembersAndNoProfile) {
  const Settings settings = settings_read(
      R"({"x":{"A":"0"},"type":"settings","generation":7,"values":{"A":"1"},"y":["A"],)"
      R"("z":{"B":"2"}})");
  EXPECT_EQ(settings, (Settings{7, "", {{"A", "1"}}}));
}

TEST(SettingsMessage, HoldsTheLastOfAValueThatIsThereTwice) {
  EXPECT_THAT(
      settings_read(R"({"type":"settings","generation":7,"values":{"A":"1","A":"2"}})").values,
      ElementsAre(Pair("A", "2")));
  EXPECT_THAT(
      settings_read(R"({"type":"settings","generation":7,"values":{"A":"1"},"values":{}})").values,
      IsEmpty());
}

TEST(SettingsMessage, BeyondTheLimitsIsIgnored) {
  Settings settings{.generation = 7};
  settings.values["LONG"] = std::string(kMostSettingBytes + 1, 'x');
  settings.values["RIGHT"] = std::string(kMostSettingBytes, '\x01');
  EXPECT_THAT(settings_back(settings).values, ElementsAre(Pair("RIGHT", settings.values["RIGHT"])));

  std::string text = R"({"type":"settings","generation":7,"values":{"LONG":")" +
                     std::string(kMostSettingBytes + 1, 'x') + '"';
  for (std::size_t i = 0; i <= kMostSettings; ++i) {
    text += ",\"V" + std::to_string(i) + R"(":"x")";
    settings.values["V" + std::to_string(i)] = "x";
  }
  EXPECT_EQ(settings_read(text + "}}").values.size(), kMostSettings);
  EXPECT_EQ(settings_back(settings).values.size(), kMostSettings);
}

class NoSettings : public testing::TestWithParam<const char*> {};

TEST_P(NoSettings, AreAnError) {
  EXPECT_FALSE(decode_registry_message(R"({"type":"settings",)" + std::string(GetParam()) + "}"));
}

INSTANTIATE_TEST_SUITE_P(
    RegistryMessages, NoSettings,
    testing::Values(R"("values":{})", R"("generation":7)", R"("generation":-1,"values":{})",
                    R"("generation":18446744073709551616,"values":{})",
                    R"("generation":"7","values":{})", R"("generation":7,"values":[])",
                    R"("generation":7,"values":["A"])", R"("generation":7,"values":"A")",
                    R"("generation":7,"values":"A","other":{"A":"1"})",
                    R"("generation":7,"values":{"A":1})", R"("generation":7,"values":{"A":null})",
                    R"("generation":7,"values":{"A":{"B":"1"}})",
                    R"("generation":7,"values":{"A":["1"]})",
                    R"("generation":7,"profile":7,"values":{})"));

}  // namespace
}  // namespace sidetap::registry
