#include "shared/net/host_port.h"

#include <gtest/gtest.h>

namespace sidetap::net {
namespace {

struct Case {
  const char* text;
  const char* printed;
};

TEST(HostPort, TakesEveryUsualForm) {
  for (const Case& c :
       {Case{"sensor", "sensor:2003"}, Case{"sensor.example:99", "sensor.example:99"},
        Case{"10.0.0.1", "10.0.0.1:2003"}, Case{"[fd00::1]:5", "[fd00::1]:5"},
        Case{"[fd00::1]", "[fd00::1]:2003"}, Case{"fd00::1", "[fd00::1]:2003"},
        Case{":8080", ":8080"}}) {
    const auto parsed = parse_host_port(c.text, 2003);
    ASSERT_TRUE(parsed) << c.text;
    EXPECT_EQ(parsed->to_string(), c.printed);
  }
}

TEST(HostPort, RefusesTheRest) {
  for (const char* text : {"", "a:b", "a:70000", "a:", "[fd00::1", "[fd00::1]x", "[name]:1",
                           "fd00::zz:1", "a b:1", "http://x:1", "x/y:1"}) {
    EXPECT_FALSE(parse_host_port(text, 2003)) << text;
  }
  EXPECT_FALSE(parse_host_port("sensor", 0));
}

}  // namespace
}  // namespace sidetap::net
