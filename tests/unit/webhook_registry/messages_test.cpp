#include "webhook/registry/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sidecar/registry/messages.h"

namespace sidetap::webhook::registry {
namespace {

using testing::ElementsAre;

net::IpAddress ip(std::string_view text) { return net::IpAddress::parse(text).value(); }
namespace tap = sidetap::registry;

TEST(RegistryMessages, ReadsWhatTapsWrite) {
  const std::vector<net::IpAddress> addresses{ip("10.1.2.3"), ip("fd00::3")};
  const auto hello = parse_message(tap::hello_text(addresses, true)).value();
  EXPECT_TRUE(std::get<TapState>(hello).hello);
  EXPECT_TRUE(std::get<TapState>(hello).forwarding);
  EXPECT_EQ(std::get<TapState>(hello).addresses, addresses);
  const auto state = parse_message(tap::state_text(addresses, false)).value();
  EXPECT_FALSE(std::get<TapState>(state).hello);
  EXPECT_FALSE(std::get<TapState>(state).forwarding);
  EXPECT_FALSE(std::get<TapState>(state).ended);
  const auto last = parse_message(tap::state_text(addresses, false, true)).value();
  EXPECT_TRUE(std::get<TapState>(last).ended);
  EXPECT_TRUE(std::holds_alternative<Resync>(parse_message(tap::resync_text()).value()));
}

TEST(RegistryMessages, WritesWhatTapsRead) {
  const auto snapshot =
      tap::parse_message(snapshot_text(7, {ip("10.1.2.4"), ip("fd00::3")}, nullptr));
  EXPECT_EQ(std::get<tap::Snapshot>(snapshot.value()).version, 7u);
  EXPECT_EQ(std::get<tap::Snapshot>(snapshot.value()).taps.size(), 2u);
  EXPECT_FALSE(std::get<tap::Snapshot>(snapshot.value()).services);
  const auto change =
      tap::parse_message(change_text({7, 8, {{ip("10.1.2.5")}, {ip("10.1.2.4")}}, {}}));
  EXPECT_EQ(std::get<tap::Change>(change.value()).from, 7u);
  EXPECT_EQ(std::get<tap::Change>(change.value()).version, 8u);
  EXPECT_THAT(std::get<tap::Change>(change.value()).add, ElementsAre(ip("10.1.2.5")));
  EXPECT_THAT(std::get<tap::Change>(change.value()).remove, ElementsAre(ip("10.1.2.4")));
  const auto ca = tap::parse_message(ca_text("-----BEGIN\n\"x\"\n"));
  EXPECT_EQ(std::get<tap::CaBundle>(ca.value()).pem, "-----BEGIN\n\"x\"\n");
  const auto refused = tap::parse_message(refused_text("no"));
  EXPECT_EQ(std::get<tap::Refused>(refused.value()).reason, "no");
}

TEST(RegistryMessages, ServicesComeWithTheTaps) {
  const std::set<net::IpAddress> services{ip("10.96.0.1")};
  const auto snapshot = tap::parse_message(snapshot_text(7, {}, &services));
  EXPECT_EQ(std::get<tap::Snapshot>(snapshot.value()).services, std::vector{ip("10.96.0.1")});
  const auto change =
      tap::parse_message(change_text({7, 8, {}, {{ip("10.96.0.2")}, {ip("10.96.0.1")}}}));
  EXPECT_THAT(std::get<tap::Change>(change.value()).add_services, ElementsAre(ip("10.96.0.2")));
  EXPECT_THAT(std::get<tap::Change>(change.value()).remove_services, ElementsAre(ip("10.96.0.1")));
}

TEST(RegistryMessages, EmptyListsAreLists) {
  const std::set<net::IpAddress> none;
  EXPECT_EQ(snapshot_text(1, none, nullptr), R"({"type":"snapshot","version":1,"taps":[]})");
  EXPECT_EQ(snapshot_text(1, none, &none),
            R"({"type":"snapshot","version":1,"taps":[],"services":[]})");
}

TEST(RegistryMessages, UnknownTypesAreIgnored) {
  EXPECT_TRUE(std::holds_alternative<Unknown>(parse_message(R"({"type":"new"})").value()));
}

TEST(RegistryMessages, RefusesWhatIsNoMessage) {
  std::string many = R"({"type":"state","forwarding":true,"addresses":["10.0.0.1")";
  for (int i = 0; i < 64; ++i) many += R"(,"10.0.0.1")";
  many += "]}";
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"),
        std::string(R"({"type":5})"), std::string(R"({"type":"hello"})"),
        std::string(R"({"type":"hello","version":2,"addresses":[],"forwarding":true})"),
        std::string(R"({"type":"state","addresses":[]})"),
        std::string(R"({"type":"state","addresses":[],"forwarding":1})"),
        std::string(R"({"type":"state","addresses":{},"forwarding":true})"),
        std::string(R"({"type":"state","addresses":[5],"forwarding":true})"),
        std::string(R"({"type":"state","addresses":["10.0.0"],"forwarding":true})"), many}) {
    EXPECT_FALSE(parse_message(text)) << text;
  }
}

TEST(RegistryMessages, WhatNestsWithoutEndIsRefused) {
  const std::string deep = std::string(60'000, '[') + std::string(60'000, ']');
  EXPECT_FALSE(
      parse_message(R"({"type":"hello","addresses":[],"forwarding":true,"version":)" + deep + "}"));
}

}  // namespace
}  // namespace sidetap::webhook::registry
