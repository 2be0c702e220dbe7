// Rules of the settings that webhook and tap share. tests/unit/webhook_sidecar checks that both
// programs follow the table.
#include "shared/tap/settings.h"

#include <cstdint>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/net/text.h"

namespace sidetap::tap {
namespace {

TEST(Settings, HaveKeysFlagsAndVariablesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Setting& setting : kSettings)
    for (const std::string_view name : {setting.key, setting.option.flag, setting.option.env}) {
      EXPECT_FALSE(name.empty()) << setting.key;
      EXPECT_TRUE(names.insert(name).second) << name;
    }
}

TEST(Settings, BeginWithAValueThatTheyAccept) {
  const Values values;
  for (const Setting& setting : kSettings) {
    EXPECT_EQ(values[setting], setting.initial);
    if (&setting == &kSensor) continue;
    EXPECT_EQ(check(setting, setting.initial).value(), setting.initial) << setting.key;
  }
}

TEST(Settings, OfABoundedNumberTakeItsBounds) {
  for (const Setting& setting : kSettings) {
    if (setting.form != Form::kNumber) continue;
    SCOPED_TRACE(setting.key);
    EXPECT_LT(setting.least, setting.most);
    EXPECT_LE(setting.most, UINT32_MAX) << "the configuration's numbers have 32 bits";
    EXPECT_TRUE(check(setting, std::to_string(setting.least)));
    EXPECT_TRUE(check(setting, std::to_string(setting.most)));
    EXPECT_FALSE(check(setting, std::to_string(setting.most + 1)));
    EXPECT_FALSE(check(setting, ""));
  }
}

TEST(Settings, OfASizeSayTheirBoundsAsOneWritesThem) {
  EXPECT_EQ(check(kBufferSize, "4M").value(), "4M");
  EXPECT_EQ(check(kBufferSize, "").value(), "") << "the tap's own default";
  for (const char* text : {"511K", "2G", "4MB", "M", "-1"})
    EXPECT_EQ(check(kBufferSize, text).error().text, "bytes, from 512K to 1G, such as 4M") << text;
}

TEST(Settings, OfAWordNameTheWords) {
  EXPECT_EQ(check(kServiceView, "never").value(), "never");
  EXPECT_EQ(check(kServiceView, "Never").error().text, "auto, never, always");
}

TEST(Settings, OfASwitchAreOnOrOff) {
  EXPECT_EQ(check(kPaused, "on").value(), "on");
  EXPECT_EQ(check(kPaused, "off").value(), "off");
  for (const char* text : {"", "true", "On", "1"})
    EXPECT_EQ(check(kPaused, text).error().text, "on, off") << text;
}

TEST(Settings, OfARateKeepTheirUnit) {
  for (const char* text : {"0", "1", "64K", "100M", "2G", "1000000G"})
    EXPECT_EQ(check(kMaxRate, text).value(), text);
  for (const char* text :
       {"", "-1", "1.5M", "100m", "1 M", "M", "1000001G", "99999999999999999999"})
    EXPECT_FALSE(check(kMaxRate, text)) << text;
}

TEST(Settings, ThatTheRegistryMayChangeBelongToAGroup) {
  std::set<std::string_view> groups;
  for (const Setting& setting : kSettings)
    if (!setting.control.empty()) groups.insert(setting.control);
  EXPECT_EQ(groups, std::set<std::string_view>(kControls.begin(), kControls.end()));
}

TEST(Controls, AreNamedInAnyOrderAndComeInTheirOwn) {
  const auto named = [](std::string_view text) {
    return net::joined(names_of(parse_controls(text).value()));
  };
  EXPECT_EQ(named("on"), net::joined(kControls));
  EXPECT_EQ(named("off"), "");
  EXPECT_EQ(named("pause, filter,pause"), "filter,pause");
  for (const char* text : {"", "filters", "on,off", "filter,", "ON"})
    EXPECT_EQ(parse_controls(text).error().text,
              "on, off, or several of sensors, filter, sampling, snaplen, rate, pause, separated "
              "by commas")
        << text;
}

TEST(Settings, ThatTheRegistryMayChangeAreShort) {
  const std::string number = std::string(kMostControlledBytes - 1, '0') + "1";
  EXPECT_TRUE(check(kMaxRate, number));
  EXPECT_FALSE(check(kMaxRate, "0" + number));
}

TEST(Settings, OfAListComeInTheirUsualForm) {
  EXPECT_EQ(check(kPodSubnets, "10.244.0.0/16, FD00:0::/56").value(), "10.244.0.0/16,fd00::/56");
  EXPECT_EQ(check(kInterface, "eth0,net1,eth0").value(), "eth0,net1");
  for (const char* text : {"eth 0", "a/b", "a,,b", "eth0\n", "sixteen-letters-x"})
    EXPECT_FALSE(check(kInterface, text)) << text;
  EXPECT_TRUE(check(kTappedPeers, "10.244.0.0/16,!10.244.1.1"));
}

TEST(Settings, AreBoundedWhoeverWritesThem) {
  std::string many;
  for (int i = 0; i < 50'000; ++i) many += "a" + std::to_string(i) + ",";
  EXPECT_FALSE(check(kInterface, many + "a"));
}

}  // namespace
}  // namespace sidetap::tap
