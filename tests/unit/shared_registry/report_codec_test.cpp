// What a tap says of itself: the orders that it takes, and its reports.
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/registry/codec.h"
#include "tests/support/addresses.h"

namespace sidetap::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <typename T>
T told_and_read(const T& message) {
  return std::get<T>(decode_tap_message(encode(message)).value());
}

Report report_of(const std::string& members) {
  return std::get<Report>(decode_tap_message(R"({"type":"report")" + members + "}").value());
}

Hello hello_of(const std::string& members) {
  return std::get<Hello>(decode_tap_message(R"({"type":"hello","version":1,"addresses":[],)"
                                            R"("forwarding":true)" +
                                            members + "}")
                             .value());
}

const Report kEverything{
    .release = "1.2.0",
    .profile = "edge",
    .generation = 7,
    .following = false,
    .interfaces = {{"eth0", true}, {"net1", false}},
    .sensors = {{"192.0.2.9:2003", "capturing", ""}, {"b:7", "waiting", "refused \xc3\xbc\n"}},
    .counts = {.seen = 9,
               .seen_bytes = 900,
               .owned = 5,
               .owned_bytes = 500,
               .forwarded = 4,
               .forwarded_bytes = 440,
               .filtered = 1},
    .lost = {{"kernel_ring", 0}, {"no_session", ~std::uint64_t{0}}},
    .mesh = MeshReport{.kind = "istio", .read = 9, .legs = 8, .covered = ~std::uint64_t{0}}};

TEST(Orders, ComeWithTheHelloOfATapThatTakesThem) {
  const Hello hello{.state = {{ip("10.1.2.3")}, false},
                    .rules = kRules,
                    .control = {"sensors", "filter"},
                    .profile = "edge"};
  EXPECT_THAT(encode(hello), HasSubstr(R"("control":["sensors","filter"],"profile":"edge")"));
  EXPECT_EQ(told_and_read(hello), hello);
}

TEST(Orders, AreNotTakenByAnOlderTap) {
  EXPECT_THAT(hello_of("").control, IsEmpty());
  EXPECT_EQ(hello_of("").profile, "");
  EXPECT_EQ(encode(Hello{}).find("control"), std::string::npos) << "an older registry reads it";
}

TEST(Orders, BeyondTheLimitsAreIgnored) {
  std::string names = R"("pause",")" + std::string(kMostControlBytes + 1, 'x') + '"';
  EXPECT_THAT(hello_of(R"(,"control":[)" + names + "]").control, ElementsAre("pause"));
  for (std::size_t i = 0; i < kMostControls; ++i) names += R"(,"new")";
  EXPECT_EQ(hello_of(R"(,"control":[)" + names + "]").control.size(), kMostControls);
  EXPECT_EQ(hello_of(R"(,"profile":")" + std::string(999, 'x') + '"').profile.size(),
            kMostReportedText);
}

TEST(Orders, OfAnyLengthFitAMessage) {
  Hello hello;
  for (std::uint32_t i = 0; i < 99; ++i) {
    hello.state.addresses.push_back(net::IpAddress::v6(~0ULL, ~0ULL - i));
    hello.control.push_back(std::string(kMostControlBytes, '\x01'));
  }
  hello.profile = std::string(9999, '\x01');
  EXPECT_LE(encode(hello).size(), kMostTapMessageBytes);
  EXPECT_EQ(told_and_read(hello).control.size(), kMostControls);
}

class NoOrders : public testing::TestWithParam<const char*> {};

TEST_P(NoOrders, AreAnError) {
  EXPECT_FALSE(decode_tap_message(R"({"type":"hello","version":1,"addresses":[],)"
                                  R"("forwarding":true,)" +
                                  std::string(GetParam()) + "}"));
}

INSTANTIATE_TEST_SUITE_P(TapMessages, NoOrders,
                         testing::Values(R"("control":"on")", R"("control":{"a":"b"})",
                                         R"("control":null)", R"("control":["filter",7])",
                                         R"("control":[["filter"]])", R"("profile":7)",
                                         R"("profile":null)", R"("profile":["edge"])"));

TEST(Reports, ComeBackAsTheyWere) {
  EXPECT_EQ(told_and_read(kEverything), kEverything);
  EXPECT_EQ(told_and_read(Report{}), Report{});
}

TEST(Reports, OfATapWithoutAMeshDoNotNameOne) {
  EXPECT_EQ(encode(Report{}).find("mesh"), std::string::npos);
  EXPECT_EQ(report_of("").mesh, std::nullopt);
  EXPECT_EQ(report_of(R"(,"mesh":{})").mesh, MeshReport{});
  EXPECT_EQ(report_of(R"(,"mesh":{"kind":"none","legs":7,"new":[]})").mesh,
            (MeshReport{.kind = "none", .legs = 7}));
}

TEST(Reports, MayLackMembersAndHaveOthers) {
  EXPECT_EQ(report_of(""), Report{});
  EXPECT_EQ(report_of(R"(,"mood":[{"a":{}}],"counts":{"seen":1,"new":"x"})").counts.seen, 1U);
  EXPECT_THAT(report_of(R"(,"interfaces":[{"speed":7}])").interfaces,
              ElementsAre(InterfaceReport{}));
}

TEST(Reports, BeyondTheLimitsAreIgnored) {
  std::string interfaces;
  std::string sensors;
  std::string lost;
  for (int i = 0; i < 40; ++i) {
    const std::string comma = i == 0 ? "" : ",";
    interfaces += comma + "{}";
    sensors += comma + R"({"reason":")" + std::string(300, 'x') + R"("})";
    lost += comma + "\"" + std::to_string(i) + "\":1";
  }
  const Report report = report_of(R"(,"interfaces":[)" + interfaces + R"(],"sensors":[)" + sensors +
                                  R"(],"lost":{)" + lost + "}");
  EXPECT_EQ(report.interfaces.size(), kMostReportedInterfaces);
  ASSERT_EQ(report.sensors.size(), kMostReportedSensors);
  EXPECT_EQ(report.sensors[0].reason.size(), kMostReportedText);
  EXPECT_EQ(report.lost.size(), kMostReportedCauses);
}

/// As many of everything as there may be, with texts of this length.
Report full_report(const std::string& text) {
  Report report{.release = text, .profile = text, .generation = ~std::uint64_t{0}};
  report.interfaces.assign(99, {text, false});
  report.sensors.assign(99, {text, text, text});
  for (auto* count : {&report.counts.seen, &report.counts.seen_bytes, &report.counts.owned,
                      &report.counts.owned_bytes, &report.counts.forwarded,
                      &report.counts.forwarded_bytes, &report.counts.filtered}) {
    *count = ~std::uint64_t{0};
  }
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  report.mesh = MeshReport{.kind = text, .read = kMost, .legs = kMost, .covered = kMost};
  for (int i = 10; i < 99; ++i) report.lost[std::to_string(i) + text] = ~std::uint64_t{0};
  return report;
}

TEST(Reports, OfAnyLengthFitAMessage) {
  for (const std::string& text :
       {std::string(9999, '\x01'), std::string(14, '\x01'), std::string(300, 'x'), std::string()}) {
    const std::string message = encode(full_report(text));
    EXPECT_LE(message.size(), kMostTapMessageBytes);
    const Report read = std::get<Report>(decode_tap_message(message).value());
    EXPECT_EQ(read.sensors.size(), kMostReportedSensors);
    EXPECT_EQ(told_and_read(read), read) << "it is cut once";
  }
}

TEST(Reports, ThatAreTooLongLoseTheirReasonsFirst) {
  Report report = kEverything;
  report.sensors.assign(kMostReportedSensors,
                        {std::string(200, 's') + ":2003", "waiting", std::string(253, '\x01')});
  const Report read = told_and_read(report);
  EXPECT_EQ(read.sensors[0].sensor, report.sensors[0].sensor);
  EXPECT_EQ(read.sensors[0].state, "waiting");
  EXPECT_LT(read.sensors[0].reason.size(), 253U);
  EXPECT_FALSE(read.sensors[0].reason.empty());
  EXPECT_EQ(read.lost, report.lost);
}

TEST(Reports, AreCutBetweenCharacters) {
  std::string umlauts;
  while (umlauts.size() <= kMostReportedText) umlauts += "\xc3\xbc";
  const Report read = told_and_read(Report{.release = umlauts});
  EXPECT_EQ(read.release, umlauts.substr(0, kMostReportedText - 1));
}

class NoReport : public testing::TestWithParam<const char*> {};

TEST_P(NoReport, IsAnError) {
  const auto read = decode_tap_message(R"({"type":"report",)" + std::string(GetParam()) + "}");
  ASSERT_FALSE(read);
  EXPECT_FALSE(read.error().text.empty());
}

INSTANTIATE_TEST_SUITE_P(
    TapMessages, NoReport,
    testing::Values(R"("release":1)", R"("profile":null)", R"("generation":-1)",
                    R"("generation":18446744073709551616)", R"("generation":1.5)",
                    R"("generation":"7")", R"("following":1)", R"("interfaces":{})",
                    R"("interfaces":["eth0"])", R"("interfaces":[{"name":1}])",
                    R"("interfaces":[{"capturing":"yes"}])", R"("sensors":"a")",
                    R"("sensors":[{"reason":[]}])", R"("counts":[])", R"("counts":{"seen":-1})",
                    R"("counts":{"filtered":1e30})", R"("lost":[])", R"("lost":{"a":-1})",
                    R"("lost":{"a":18446744073709551616})", R"("lost":{"a":{}})",
                    R"("mesh":"istio")", R"("mesh":{"kind":7})", R"("mesh":{"legs":-1})"));

}  // namespace
}  // namespace sidetap::registry
