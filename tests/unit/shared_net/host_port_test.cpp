#include "shared/net/host_port.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "shared/net/distinct.h"

namespace sidetap::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Outlives each loop over a part of it.
const nlohmann::json& cases() {
  static const nlohmann::json all = [] {
    std::ifstream file(std::string(SIDETAP_SOURCE_DIR) + "/tests/support/host_port_cases.json");
    return nlohmann::json::parse(file);
  }();
  return all;
}

TEST(HostPort, TakesEveryUsualForm) {
  ASSERT_FALSE(cases().at("accepted").empty());
  for (const auto& [text, printed] : cases().at("accepted").items()) {
    const auto parsed = parse_host_port(text, 2003);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().text;
    EXPECT_EQ(parsed->to_string(), printed.get<std::string>());
  }
}

TEST(HostPort, RefusesTheRestAndQuotesIt) {
  ASSERT_FALSE(cases().at("refused").empty());
  for (const auto& item : cases().at("refused")) {
    const auto text = item.get<std::string>();
    const auto parsed = parse_host_port(text, 2003);
    ASSERT_FALSE(parsed) << text << " is read as " << parsed->to_string();
    EXPECT_THAT(parsed.error().text, HasSubstr("\"" + text + "\""));
  }
  EXPECT_FALSE(parse_host_port("sensor", 0)) << "no port, and none to fall back on";
}

TEST(HostPort, SaysWhatIsWrong) {
  const auto says = [](const char* text, const char* word) {
    EXPECT_THAT(parse_host_port(text, 2003).error().text, HasSubstr(word));
  };
  says("http://sensor", "URL");
  says("sensor/path", "URL");
  says("10.0.0.256", "IPv4");
  says("0x7f.1", "IPv4");
  says("fd00::zz", "IPv6");
  says(":2003", "no host");
  says("sensor:0", "1 to 65535");
}

TEST(ListenAddress, MayNameEveryAddressAndAnyPort) {
  for (const auto& [text, printed] :
       {std::pair{":8080", ":8080"}, std::pair{"127.0.0.1:0", "127.0.0.1:0"},
        std::pair{"[::1]:0", "[::1]:0"}, std::pair{"localhost:80", "localhost:80"}}) {
    const auto parsed = parse_listen_address(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->to_string(), printed);
  }
  for (const char* text : {"", ":", "localhost", "10.0.0.256:1", "http://x:1", ":65536"})
    EXPECT_FALSE(parse_listen_address(text)) << text;
}

TEST(SamePlace, IsOneWhateverItsSpelling) {
  const auto at = [](const char* text) { return parse_host_port(text, 2003).value(); };
  EXPECT_TRUE(same_place(at("sensor"), at("SENSOR.:2003")));
  EXPECT_TRUE(same_place(at("FD00:0::1"), at("[fd00::1]:2003")));
  EXPECT_TRUE(same_place(at("10.0.0.1"), at("[::ffff:a00:1]:2003")));
  EXPECT_FALSE(same_place(at("sensor"), at("sensor:2004")));
  EXPECT_FALSE(same_place(at("sensor"), at("sensor.example")));
}

TEST(Distinct, KeepsTheFirstOfEach) {
  EXPECT_THAT(distinct(std::vector<int>{3, 1, 3, 2, 1}), ElementsAre(3, 1, 2));
}

}  // namespace
}  // namespace sidetap::net
